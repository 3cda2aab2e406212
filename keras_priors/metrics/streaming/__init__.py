"""Metrics for `compile(metrics=[...])`: a batch is added to sums, and the value is one of sums."""

# Written by tools/write_doors.py.

from keras_priors.metrics.streaming.accuracy_at_coverage import AccuracyAtCoverage
from keras_priors.metrics.streaming.adaptive_calibration_error import AdaptiveCalibrationError
from keras_priors.metrics.streaming.area_under_risk_coverage import AreaUnderRiskCoverage
from keras_priors.metrics.streaming.aupr import AUPR
from keras_priors.metrics.streaming.auroc import AUROC
from keras_priors.metrics.streaming.brier_score import BrierScore
from keras_priors.metrics.streaming.classwise_calibration_error import ClasswiseCalibrationError
from keras_priors.metrics.streaming.crps import CRPS
from keras_priors.metrics.streaming.expected_calibration_error import ExpectedCalibrationError
from keras_priors.metrics.streaming.interval_coverage import IntervalCoverage
from keras_priors.metrics.streaming.interval_score import IntervalScore
from keras_priors.metrics.streaming.interval_width import IntervalWidth
from keras_priors.metrics.streaming.maximum_calibration_error import MaximumCalibrationError
from keras_priors.metrics.streaming.negative_log_predictive_density import (
    NegativeLogPredictiveDensity,
)
from keras_priors.metrics.streaming.pinball_loss import PinballLoss
from keras_priors.metrics.streaming.quantile_calibration_error import QuantileCalibrationError
from keras_priors.metrics.streaming.sharpness import Sharpness

__all__ = [
    "AUPR",
    "AUROC",
    "CRPS",
    "AccuracyAtCoverage",
    "AdaptiveCalibrationError",
    "AreaUnderRiskCoverage",
    "BrierScore",
    "ClasswiseCalibrationError",
    "ExpectedCalibrationError",
    "IntervalCoverage",
    "IntervalScore",
    "IntervalWidth",
    "MaximumCalibrationError",
    "NegativeLogPredictiveDensity",
    "PinballLoss",
    "QuantileCalibrationError",
    "Sharpness",
]
