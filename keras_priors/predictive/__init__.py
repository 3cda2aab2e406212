"""From draws to predictions, and where their uncertainty comes from."""

from keras_priors.predictive.predict import predict
from keras_priors.predictive.predictive import Predictive
from keras_priors.predictive.prior_predictive import prior_predictive

__all__ = ["Predictive", "predict", "prior_predictive"]
