"""The distributions that `torch.distributions` lacks or rounds too much, in TFP's vocabulary."""

from keras_priors.backend.torch.families.deterministic import Deterministic
from keras_priors.backend.torch.families.dirichlet_multinomial import DirichletMultinomial
from keras_priors.backend.torch.families.generalized_normal import GeneralizedNormal
from keras_priors.backend.torch.families.half_student_t import HalfStudentT
from keras_priors.backend.torch.families.logistic import Logistic
from keras_priors.backend.torch.families.matrix_normal import MatrixNormal
from keras_priors.backend.torch.families.negative_binomial import NegativeBinomial
from keras_priors.backend.torch.families.truncated_normal import TruncatedNormal

__all__ = [
    "Deterministic",
    "DirichletMultinomial",
    "GeneralizedNormal",
    "HalfStudentT",
    "Logistic",
    "MatrixNormal",
    "NegativeBinomial",
    "TruncatedNormal",
]
