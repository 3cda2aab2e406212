"""Estimators for scikit-learn."""

# Written by tools/write_doors.py.

from keras_priors.sklearn.bayesian_classifier import BayesianClassifier
from keras_priors.sklearn.bayesian_regressor import BayesianRegressor

__all__ = [
    "BayesianClassifier",
    "BayesianRegressor",
]
