"""From draws to predictions, and where their uncertainty comes from."""

from keras_priors.predictive.predict import predict
from keras_priors.predictive.predictive import Predictive

__all__ = ["Predictive", "predict"]
