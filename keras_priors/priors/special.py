"""Normalizing constants in float64, from the standard library alone: computed once a prior."""

import math
from typing import Any

import numpy as np

from keras_priors.utils.parameters import Number

LOG_2PI = math.log(2.0 * math.pi)

TINY = float(np.finfo("float32").tiny)
"""The smallest normal float32."""


def log_gamma(x: Any) -> np.ndarray:
    """log Gamma(x), elementwise."""
    return np.asarray(np.vectorize(math.lgamma, otypes=["float64"])(x))


def mean_over(constant: Any) -> float:
    """The mean of a constant over the array parameters it came from."""
    return float(np.mean(constant))


def log_student_t_constant(df: Number) -> np.ndarray:
    """log Gamma((df + 1) / 2) - log Gamma(df / 2) - log(pi df) / 2, elementwise."""
    return np.asarray(np.vectorize(_log_student_t_constant, otypes=["float64"])(df))


def _log_student_t_constant(df: float) -> float:
    if df < 1e4:
        ratio = math.lgamma(0.5 * (df + 1.0)) - math.lgamma(0.5 * df) - 0.5 * math.log(0.5 * df)
    else:
        # The difference of two large numbers has lost its digits; its series has not.
        ratio = -0.25 / df + 1.0 / (24.0 * df**3)
    return ratio - 0.5 * LOG_2PI


def log_normal_mass(a: Any, b: Any) -> np.ndarray:
    """log(Phi(b) - Phi(a)) for a < b, elementwise, also where both lie far in one tail."""
    return np.asarray(np.vectorize(_log_normal_mass, otypes=["float64"])(a, b))


def _log_normal_mass(a: float, b: float) -> float:
    if a > 0.0:
        a, b = -b, -a
    if b > 0.0:
        return math.log(0.5 * (math.erf(b / math.sqrt(2.0)) - math.erf(a / math.sqrt(2.0))))
    upper = _log_ndtr(b)
    if math.isinf(a):
        return upper
    return upper + math.log(-math.expm1(_log_ndtr(a) - upper))


def _log_ndtr(x: float) -> float:
    if x > -30.0:
        return math.log(0.5 * math.erfc(-x / math.sqrt(2.0)))
    series = -1.0 / x**2 + 3.0 / x**4 - 15.0 / x**6
    return -0.5 * x * x - math.log(-x) - 0.5 * LOG_2PI + math.log1p(series)
