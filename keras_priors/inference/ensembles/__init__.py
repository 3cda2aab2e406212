"""Several points that stand for a posterior."""

# Written by tools/write_doors.py.

from keras_priors.inference.ensembles.deep_ensemble import DeepEnsemble
from keras_priors.inference.ensembles.mc_dropout import MCDropout
from keras_priors.inference.ensembles.mc_dropout_posterior import MCDropoutPosterior
from keras_priors.inference.ensembles.randomized_map import RandomizedMAP

__all__ = [
    "DeepEnsemble",
    "MCDropout",
    "MCDropoutPosterior",
    "RandomizedMAP",
]
