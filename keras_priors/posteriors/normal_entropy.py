"""Entropy of a normal from the log determinant of its scale."""

import math
from typing import Any


def normal_entropy(log_det_scale: Any, size: int) -> Any:
    """H = log|L| + (size / 2) log(2 pi e) in nats, for a covariance L Lᵀ."""
    return log_det_scale + 0.5 * size * math.log(2.0 * math.pi * math.e)
