"""Verbs on a whole model."""

# Written by tools/write_doors.py.

from keras_priors.models.get_priors import get_priors
from keras_priors.models.pretrained_prior import pretrained_prior
from keras_priors.models.prune import prune
from keras_priors.models.sample_prior import sample_prior
from keras_priors.models.set_num_data import set_num_data
from keras_priors.models.set_priors import set_priors
from keras_priors.models.summary import summary
from keras_priors.models.to_deterministic import to_deterministic
from keras_priors.models.to_plain import to_plain as to_plain
from keras_priors.models.to_variational import to_variational
from keras_priors.models.variational_model import VariationalModel

__all__ = [
    "VariationalModel",
    "get_priors",
    "pretrained_prior",
    "prune",
    "sample_prior",
    "set_num_data",
    "set_priors",
    "summary",
    "to_deterministic",
    "to_variational",
]
