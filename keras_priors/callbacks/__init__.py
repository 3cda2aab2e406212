"""Keras callbacks for models with priors and variational layers."""

from keras_priors.callbacks.bayesian_monitor import BayesianMonitor
from keras_priors.callbacks.kl_annealing import KLAnnealing

__all__ = ["BayesianMonitor", "KLAnnealing"]
