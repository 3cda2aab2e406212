"""Keras callbacks for models with priors and variational layers."""

# Written by tools/write_doors.py.

from keras_priors.callbacks.bayesian_monitor import BayesianMonitor
from keras_priors.callbacks.collect_draws import CollectDraws
from keras_priors.callbacks.evaluate_at_mean import EvaluateAtMean
from keras_priors.callbacks.kl_annealing import KLAnnealing
from keras_priors.callbacks.swag import SWAG

__all__ = [
    "SWAG",
    "BayesianMonitor",
    "CollectDraws",
    "EvaluateAtMean",
    "KLAnnealing",
]
