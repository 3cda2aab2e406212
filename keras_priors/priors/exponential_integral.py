"""log(exp(u) E1(u)), E1 the exponential integral, in float32."""

from typing import Any

import numpy as np
from keras import ops

from keras_priors.priors.special import TINY

# E1(u) + log u for 0 <= u <= 1, to 2e-7 (5.1.53), highest power first.
_SMALL = (0.00107857, -0.00976004, 0.05519968, -0.24991055, 0.99999193, -0.57721566)
# u exp(u) E1(u) for u >= 1, to 2e-8 (5.1.56), as a ratio of polynomials in 1 / u.
_NUMERATOR = (0.2677737343, 8.6347608925, 18.0590169730, 8.5733287401, 1.0)
_DENOMINATOR = (3.9584969228, 21.0996530827, 25.6329561486, 9.5733223454, 1.0)


def log_scaled_exponential_integral(log_u: Any) -> Any:
    """log(exp(u) E1(u)) from log u, so that u itself may under- or overflow.

    The error is below 1e-6 for every u. At 0 it grows like log(-log u), at infinity it falls
    like -log u.

    References:
        - Abramowitz and Stegun, 1964, Handbook of mathematical functions, 5.1.53 and 5.1.56.
    """
    below = log_u <= 0.0
    log_small = ops.where(below, log_u, 0.0 * log_u)
    small = ops.exp(log_small)
    near = small + ops.log(_horner(_SMALL, small) - log_small)
    log_large = ops.where(below, 0.0 * log_u, log_u)
    inverse = ops.exp(-log_large)
    far = ops.log(_horner(_NUMERATOR, inverse) / _horner(_DENOMINATOR, inverse)) - log_large
    return ops.where(below, near, far)


def log_of_squared_ratio(w: Any, scale: Any) -> Any:
    """log(w^2 / (2 scale^2)), with |w| no smaller than the smallest normal float32."""
    size = ops.abs(w)
    size = ops.where(size < TINY, ops.cast(TINY, size.dtype), size)
    log_scale = ops.log(scale) if ops.is_tensor(scale) else float(np.log(scale))
    return 2.0 * (ops.log(size) - log_scale) - float(np.log(2.0))


def _horner(coefficients: tuple[float, ...], x: Any) -> Any:
    total: Any = coefficients[0]
    for coefficient in coefficients[1:]:
        total = total * x + coefficient
    return total
