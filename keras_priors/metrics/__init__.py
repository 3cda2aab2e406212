"""How good predicted probabilities are: plain functions of NumPy arrays."""

# Written by tools/write_doors.py.

from keras_priors.metrics.brier_score import brier_score
from keras_priors.metrics.expected_calibration_error import expected_calibration_error

__all__ = [
    "brier_score",
    "expected_calibration_error",
]
