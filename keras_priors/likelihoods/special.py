"""Functions that densities are made of, accurate in float32 and float64 on every backend.

Each is smooth, so that backends differentiate it as often as they are asked to. None makes a tensor
of a number, which PyTorch would send to its device, and cannot have in the graph of a loop.
"""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors.utils.export import share
from keras_priors.utils.parameters import tensor

_LOG_ROOT_2_PI = 0.5 * math.log(2.0 * math.pi)
# log(erfcx(z) / t) with t = 2 / (2 + z), z >= 0, in Chebyshev polynomials of 2 t - 1: to 1e-14.
_ERFCX = (
    -6.5132685989085470e-01,
    6.4196979235649021e-01,
    1.9476473204185774e-02,
    -9.5615147868086062e-03,
    -9.4659534448216474e-04,
    3.6683949785286081e-04,
    4.2523324806780843e-05,
    -2.0278578112334555e-05,
    -1.6242900048859768e-06,
    1.3036558359264396e-06,
    1.5626441328042240e-08,
    -8.5238095482372385e-08,
    6.5290540127566470e-09,
    5.0593439247951306e-09,
    -9.9136458560857666e-10,
    -2.2736466000428671e-10,
    9.6467325495926033e-11,
    2.3945466297868213e-12,
    -6.8866744320837642e-12,
    8.9511079597301312e-13,
    3.1241198773777663e-13,
    -1.1192505295538080e-13,
)
# Their powers, the highest first; half of them is all that float32 sees.
_IN_FLOAT64, _IN_FLOAT32 = (
    np.polynomial.chebyshev.cheb2poly(_ERFCX[:count])[::-1].tolist() for count in (22, 12)
)
# Beyond, exp is continued by its tangent: products with it, and their slopes, fit float32.
_STEEPEST = 40.0
# Beyond, the series of a Bessel function in 1 / x.
_FAR = 20.0


def log_normal_tails(x: Any) -> tuple[Any, Any]:
    """log Phi(x) and log Phi(-x), with all their digits however far out.

    Of operations without NaN: the libraries' own have second derivatives that are NaN beyond some
    ten deviations.
    """
    negative = x < 0.0
    # Not |x|, whose derivative at 0 is taken as 0: at outputs of 0 models begin.
    z = ops.where(negative, -x, x) * math.sqrt(0.5)
    t = 2.0 / (2.0 + z)
    u = 2.0 * t - 1.0
    double = keras.backend.standardize_dtype(x.dtype) == "float64"
    total = 0.0
    for coefficient in _IN_FLOAT64 if double else _IN_FLOAT32:
        total = total * u + coefficient
    small = math.log(0.5) - z * z + ops.log(t) + total
    large = ops.log1p(-ops.exp(small))
    return ops.where(negative, small, large), ops.where(negative, large, small)


def log_normal_cdf(x: Any) -> Any:
    """log Phi(x)."""
    return log_normal_tails(x)[0]


def log_normal_density(x: Any) -> Any:
    """log phi(x)."""
    return -0.5 * ops.square(x) - _LOG_ROOT_2_PI


def steep_exp(x: Any) -> Any:
    """exp(x), continued by its tangent above 40, so that no gradient overflows float32."""
    low = ops.where(x < _STEEPEST, x, _STEEPEST * ops.ones_like(x))
    return ops.exp(low) * (1.0 + (x - low))


@share
def at_most(x: Any, limit: float) -> Any:
    """min(x, limit)."""
    return ops.where(x < limit, x, limit * ops.ones_like(x))


@share
def exp_excess(x: Any) -> Any:
    """exp(x) - 1 - x, by its series where these are nearly equal, and steep as `steep_exp`."""
    small = ops.abs(x) < 0.1
    near = ops.where(small, x, ops.zeros_like(x))
    series = 0.0
    for k in range(10, 2, -1):
        series = (series + 1.0) * near / k
    far = ops.where(small, ops.ones_like(x), x)
    return ops.where(small, 0.5 * near * near * (1.0 + series), steep_exp(far) - 1.0 - far)


def log1p_excess(x: Any) -> Any:
    """log(1 + x) - x for x >= 0, by its series where these are nearly equal."""
    small = x < 0.1
    near = ops.where(small, x, ops.zeros_like(x))
    series = 0.0
    for k in range(14, 1, -1):
        series = 1.0 / k - series * near
    far = ops.where(small, ops.ones_like(x), x)
    return ops.where(small, -near * near * series, ops.log1p(far) - far)


def log1m_exp(x: Any) -> Any:
    """log(1 - exp(-x)) for x > 0, exact for small x too."""
    small = x < 1e-3
    # exp(-x) = 1 - x + x^2 / 2 - x^3 / 6
    one = ops.ones_like(x)
    series = ops.log(ops.where(small, x, one)) - x / 2.0 + x * x / 24.0
    return ops.where(small, series, ops.log(-ops.expm1(-ops.where(small, one, x))))


def log_gamma(x: Any) -> Any:
    """log Gamma(x) for x > 0."""
    return (x - 0.5) * ops.log(x) - x + _LOG_ROOT_2_PI + binet(x)


def stirling_rest(x: Any) -> Any:
    """log(x!) - x log x + x for x = 0, 1, 2 ..., which grows as log(x) / 2."""
    some = x > 0.0
    x = ops.where(some, x, ops.ones_like(x))
    rest = 0.5 * ops.log(x) + _LOG_ROOT_2_PI + binet(x)
    return ops.where(some, rest, ops.zeros_like(rest))


def log_beta(a: Any, b: Any) -> Any:
    """log B(a, b) from what is left of each log Gamma after Stirling's leading terms.

    The difference of the three log Gammas is off by 0.1 nats in float32 at a = 1e5.
    """
    swap = a < b
    small, large = ops.where(swap, a, b), ops.where(swap, b, a)
    leading = (
        (small - 0.5) * (ops.log(small) - ops.log(small + large))
        - large * ops.log1p(small / large)
        - 0.5 * ops.log(large)
    )
    rest = binet(small) + binet(large) - binet(small + large)
    return leading + rest + _LOG_ROOT_2_PI


@share
def binet(x: Any) -> Any:
    """log Gamma(x) - (x - 1/2) log x + x - log(2 pi) / 2, which is 1 / (12 x) for a large x."""
    total = 0.0
    # Binet(x) = Binet(x + 1) + (x + 1/2) log(1 + 1 / x) - 1, up to where the series converges.
    # Of a large x these terms are differences of equal numbers, and the series alone is exact.
    large = x > 8.0
    below = ops.where(large, ops.ones_like(x), x)
    for k in range(8):
        total = total + (below + (k + 0.5)) * ops.log1p(1.0 / (below + k)) - 1.0
    total = ops.where(large, ops.zeros_like(x), total)
    x = ops.where(large, x, x + 8.0)
    inverse = 1.0 / (x * x)
    series = 1.0 / 12.0 - inverse * (
        1.0 / 360.0 - inverse * (1.0 / 1260.0 - inverse * (1.0 / 1680.0 - inverse / 1188.0))
    )
    return total + series / x


def trigamma(x: Any) -> Any:
    """psi'(x) for x > 0."""
    return 1.0 / x + trigamma_excess(x)


def trigamma_excess(x: Any) -> Any:
    """psi'(x) - 1 / x for x > 0, a sum of positive terms: the difference has no digits left."""
    total = 0.0
    for k in range(8):
        total = total + 1.0 / ((x + k) * (x + k) * (x + (k + 1)))
    x = x + 8.0
    inverse = 1.0 / (x * x)
    series = 0.5 + (1.0 / x) * (
        1.0 / 6.0 - inverse * (1.0 / 30.0 - inverse * (1.0 / 42.0 - inverse / 30.0))
    )
    return total + series * inverse


def log_bessel_i0(x: Any) -> Any:
    """log I_0(x) for x >= 0, the modified Bessel function of the order 0."""
    large = x > _FAR
    # exp(x cos t) has its mean over a circle from a few points, to exp(-32).
    near = ops.where(large, ops.ones_like(x), x)[..., None]
    cosines = np.cos(np.linspace(0.0, math.pi, 19))
    weights = np.r_[1.0, np.full(17, 2.0), 1.0] / 36.0
    terms = near * tensor(cosines - 1.0, x.dtype) + tensor(np.log(weights), x.dtype)
    inverse = 0.125 / ops.where(large, x, _FAR * ops.ones_like(x))
    series = 1.0
    for k in range(12, 0, -1):
        series = 1.0 + series * ((2 * k - 1) ** 2 / k) * inverse
    by_series = ops.log(series) + 0.5 * ops.log(inverse * (4.0 / math.pi))
    return x + ops.where(large, by_series, ops.logsumexp(terms, axis=-1))
