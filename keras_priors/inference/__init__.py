"""From a model, its priors and data to its posterior: one method a file, all of one shape."""

from keras_priors.inference.compare import compare
from keras_priors.inference.hmc import HMC
from keras_priors.inference.log_posterior import LogPosterior
from keras_priors.inference.map import MAP
from keras_priors.inference.method import Method
from keras_priors.inference.nuts import NUTS
from keras_priors.inference.point_posterior import PointPosterior
from keras_priors.inference.posterior import Posterior
from keras_priors.inference.sample_posterior import SamplePosterior
from keras_priors.inference.sghmc import SGHMC
from keras_priors.inference.sgld import SGLD

__all__ = [
    "HMC",
    "MAP",
    "NUTS",
    "SGHMC",
    "SGLD",
    "LogPosterior",
    "Method",
    "PointPosterior",
    "Posterior",
    "SamplePosterior",
    "compare",
]
