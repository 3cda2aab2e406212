"""The member of a family that is nearest to the posterior.

`mean_field`, `low_rank` and `full_rank` name the family, `variational_inference` is the search in
it (`normal_family` has it as pure functions); `variational_layers` reads what layers hold already.
"""

# Written by tools/write_doors.py.

from keras_priors.inference.variational.convergence import is_gain as is_gain
from keras_priors.inference.variational.full_rank import FullRank
from keras_priors.inference.variational.ivon import IVON
from keras_priors.inference.variational.ivon_optimizer import IVONOptimizer
from keras_priors.inference.variational.layers_posterior import LayersPosterior
from keras_priors.inference.variational.low_rank import LowRank
from keras_priors.inference.variational.mean_field import MeanField
from keras_priors.inference.variational.variational_layers import VariationalLayers
from keras_priors.inference.variational.variational_posterior import VariationalPosterior

__all__ = [
    "IVON",
    "FullRank",
    "IVONOptimizer",
    "LayersPosterior",
    "LowRank",
    "MeanField",
    "VariationalLayers",
    "VariationalPosterior",
]
