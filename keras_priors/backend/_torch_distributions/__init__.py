"""The distributions that `torch.distributions` lacks or rounds too much, in TFP's vocabulary."""

from keras_priors.backend._torch_distributions.deterministic import Deterministic
from keras_priors.backend._torch_distributions.generalized_normal import GeneralizedNormal
from keras_priors.backend._torch_distributions.half_student_t import HalfStudentT
from keras_priors.backend._torch_distributions.logistic import Logistic
from keras_priors.backend._torch_distributions.matrix_normal import MatrixNormal
from keras_priors.backend._torch_distributions.negative_binomial import NegativeBinomial
from keras_priors.backend._torch_distributions.truncated_normal import TruncatedNormal

__all__ = [
    "Deterministic",
    "GeneralizedNormal",
    "HalfStudentT",
    "Logistic",
    "MatrixNormal",
    "NegativeBinomial",
    "TruncatedNormal",
]
