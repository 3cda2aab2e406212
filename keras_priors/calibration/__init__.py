"""Predictions mended by rows held back, and sets that cover as often as they say."""

# Written by tools/write_doors.py.

from keras_priors.calibration.isotonic_regression import IsotonicRegression
from keras_priors.calibration.quantile_recalibration import QuantileRecalibration
from keras_priors.calibration.recalibrated_predictive import RecalibratedPredictive
from keras_priors.calibration.split_conformal_classifier import SplitConformalClassifier
from keras_priors.calibration.split_conformal_regressor import SplitConformalRegressor
from keras_priors.calibration.temperature_scaling import TemperatureScaling

__all__ = [
    "IsotonicRegression",
    "QuantileRecalibration",
    "RecalibratedPredictive",
    "SplitConformalClassifier",
    "SplitConformalRegressor",
    "TemperatureScaling",
]
