"""How good predictions are: functions of NumPy arrays, and metrics for `compile`."""

# Written by tools/write_doors.py.

from keras_priors.metrics.accuracy_at_coverage import accuracy_at_coverage
from keras_priors.metrics.adaptive_calibration_error import adaptive_calibration_error
from keras_priors.metrics.area_under_risk_coverage import area_under_risk_coverage
from keras_priors.metrics.aupr import aupr
from keras_priors.metrics.auroc import auroc
from keras_priors.metrics.bins import reliability_table as reliability_table
from keras_priors.metrics.brier_score import brier_score
from keras_priors.metrics.classes import class_rows as class_rows
from keras_priors.metrics.classes import class_values as class_values
from keras_priors.metrics.classwise_calibration_error import classwise_calibration_error
from keras_priors.metrics.crps import crps
from keras_priors.metrics.crps_normal import crps_normal
from keras_priors.metrics.expected_calibration_error import expected_calibration_error
from keras_priors.metrics.interval_coverage import interval_coverage
from keras_priors.metrics.interval_score import interval_score
from keras_priors.metrics.interval_width import interval_width
from keras_priors.metrics.likelihood_mean import LikelihoodMean
from keras_priors.metrics.maximum_calibration_error import maximum_calibration_error
from keras_priors.metrics.negative_log_predictive_density import negative_log_predictive_density
from keras_priors.metrics.number_rows import coverage_rows as coverage_rows
from keras_priors.metrics.number_rows import crps_rows as crps_rows
from keras_priors.metrics.number_rows import interval_score_rows as interval_score_rows
from keras_priors.metrics.number_rows import std_rows as std_rows
from keras_priors.metrics.number_rows import width_rows as width_rows
from keras_priors.metrics.pinball_loss import pinball_loss
from keras_priors.metrics.pit_values import pit_values
from keras_priors.metrics.quantile_calibration_error import quantile_calibration_error
from keras_priors.metrics.ranking import exact_cells as exact_cells
from keras_priors.metrics.row_ranking import score_of_classes as score_of_classes
from keras_priors.metrics.rows import like_rows as like_rows
from keras_priors.metrics.sharpness import sharpness
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
    "LikelihoodMean",
    "MaximumCalibrationError",
    "NegativeLogPredictiveDensity",
    "PinballLoss",
    "QuantileCalibrationError",
    "Sharpness",
    "accuracy_at_coverage",
    "adaptive_calibration_error",
    "area_under_risk_coverage",
    "aupr",
    "auroc",
    "brier_score",
    "classwise_calibration_error",
    "crps",
    "crps_normal",
    "expected_calibration_error",
    "interval_coverage",
    "interval_score",
    "interval_width",
    "maximum_calibration_error",
    "negative_log_predictive_density",
    "pinball_loss",
    "pit_values",
    "quantile_calibration_error",
    "sharpness",
]
