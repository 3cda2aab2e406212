"""What lies below and above a number of a gamma variable."""

import math
from typing import Any

import numpy as np
from keras import ops

from keras_priors.likelihoods.score_table import score_table
from keras_priors.likelihoods.special import (
    at_most,
    binet,
    exp_excess,
    log1m_exp,
    log_normal_tails,
)
from keras_priors.utils.parameters import tensor

# Enough for a concentration below that of the table, on either side of k + 3/2: to 1e-11.
_STEPS = 6
_NODES, _WEIGHTS = (0.5 * each for each in np.polynomial.legendre.leggauss(28))
_NODES = _NODES + 0.5


def log_gamma_tails(r: Any, k: Any) -> tuple[Any, Any]:
    """log P(Y <= y) and log P(Y > y) with r = log(y / mean), k the concentration.

    Relative to the smaller tail, in float32 and float64, and differentiable in both arguments: from
    k = 8 by the normal score (beyond six deviations the logarithm is right to 1%), below it by
    quadrature of the lower tail for x = k e^r up to k + 3/2, and of the upper one above. No library
    of the three backends has them with derivatives in k.

    References:
        - DLMF, equations 8.2.1, 8.2.2 and 8.8.1; `beta_score`.
    """
    table = score_table(gamma=True)
    one = ops.ones_like(r) + 0.0 * k
    r, k = r * one, k * one
    large = k >= float(table.least)
    by_score = log_normal_tails(_score(r, ops.where(large, k, table.least * one)))
    # No branch that is not taken may be infinite, or its gradient is NaN.
    k = ops.where(large, one, k)
    r = ops.where(large, 0.0 * one, r)
    near = k * ops.exp(at_most(r, 40.0)) < k + 1.5
    at = 0.5 * ops.log(k) - 0.5 * math.log(2.0 * math.pi) - binet(k)
    below = _lower(ops.where(near, r, 0.0 * one), k) + at
    above = _upper(ops.where(near, ops.log1p(2.0 / k), r), k) + at
    tail = ops.where(near, below, above)
    # Of the smallest k, rounding may make a tail 1.
    tail = at_most(tail, -1e-30)
    other = log1m_exp(-tail)
    by_sum = ops.where(near, tail, other), ops.where(near, other, tail)
    return tuple(ops.where(large, a, b) for a, b in zip(by_score, by_sum, strict=True))


def _score(r: Any, k: Any) -> Any:
    # exp_excess(r) / r^2, whose root has a slope at 0.
    small = ops.absolute(r) < 0.1
    near, far = ops.where(small, r, 0.0 * r), ops.where(small, ops.ones_like(r), r)
    series = 0.0
    for j in range(10, 2, -1):
        series = (series + 1.0) * near / j
    ratio = ops.where(small, 0.5 * (1.0 + series), exp_excess(far) / (far * far))
    root, scale = r * ops.sqrt(2.0 * k * ratio), ops.rsqrt(k)
    table = score_table(gamma=True)
    # As `beta_score`, of fewer operations: of 1 / k all powers at once.
    coefficients = np.array([of_power for _, of_power in table.powers])[..., 0]
    v = (1.0 / k)[..., None]
    powers = ops.concatenate([ops.ones_like(v), v, v * v, v * v * v, v * v * v * v], axis=-1)
    slopes = ops.sum(tensor(coefficients, k.dtype) * powers[..., None, :], axis=-1)
    eta = -at_most(-at_most(scale * root, table.farthest), table.farthest)
    total = slopes[..., -1]
    for power in range(len(coefficients) - 2, -1, -1):
        total = slopes[..., power] + eta * total
    return root + scale * total


def _lower(r: Any, k: Any) -> Any:
    """log of P(Y <= y) Gamma(k) e^k / k^k."""
    # The integral h(k) of u^(k - 1) e^(x (1 - u)) from 0 to 1 is (1 + x h(k + 1)) / k, and smooth
    # for a larger k. (The series takes a compiler five times as long.)
    x = k * ops.exp(r)
    u = tensor(_NODES, x.dtype)
    powers = (k + (_STEPS - 1.0))[..., None] * ops.log(u) + x[..., None] * (1.0 - u)
    total = ops.sum(tensor(_WEIGHTS, x.dtype) * ops.exp(powers), axis=-1)
    for j in range(_STEPS - 1, -1, -1):
        total = (1.0 + x * total) / (k + float(j))
    return ops.log(total) - k * exp_excess(r)


def _upper(r: Any, k: Any) -> Any:
    """log of P(Y > y) Gamma(k) e^k / k^k."""
    # Beyond, as the density goes on.
    x = (k * ops.exp(at_most(r, 40.0)))[..., None]
    # Of t = x e^v the density by v falls to e^-45 at the far end.
    end = ops.log1p(45.0 / x)
    v = end * tensor(_NODES, x.dtype)
    terms = k[..., None] * v - x * ops.expm1(v) + ops.log(end * tensor(_WEIGHTS, x.dtype))
    return ops.logsumexp(terms, axis=-1) - k * exp_excess(r)
