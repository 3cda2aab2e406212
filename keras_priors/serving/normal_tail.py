"""The tail of the standard normal distribution, in a graph."""

from typing import Any

from keras import ops

# log(erfc(x) exp(x^2) / t) by powers of t = 1 / (1 + x / 2), x >= 0: a Chebyshev fit whose relative
# error is below 1.2e-7 everywhere (Press et al., 1992, Numerical recipes, section 6.2, erfcc).
_ERFC = (
    -1.26551223,
    1.00002368,
    0.37409196,
    0.09678418,
    -0.18628806,
    0.27886807,
    -1.13520398,
    1.48851587,
    -0.82215223,
    0.17087277,
)


def normal_tail(z: Any) -> Any:
    """P(Z > z), accurate in relative error: of few operations, which every format has."""
    x = ops.absolute(z) * (0.5**0.5)
    t = 1.0 / (1.0 + 0.5 * x)
    power = _ERFC[-1]
    for coefficient in reversed(_ERFC[:-1]):
        power = coefficient + t * power
    tail = 0.5 * t * ops.exp(power - x * x)
    return ops.where(z > 0.0, tail, 1.0 - tail)
