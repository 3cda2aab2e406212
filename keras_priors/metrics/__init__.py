"""How good predictions are: functions of NumPy arrays, and metrics for `compile`."""

# Written by tools/write_doors.py.

from keras_priors.metrics.brier_score import brier_score
from keras_priors.metrics.expected_calibration_error import expected_calibration_error
from keras_priors.metrics.likelihood_mean import LikelihoodMean

__all__ = [
    "LikelihoodMean",
    "brier_score",
    "expected_calibration_error",
]
