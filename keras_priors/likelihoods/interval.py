"""The probability of an interval, from what lies below and above its ends."""

from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

from keras_priors.likelihoods.special import log1m_exp
from keras_priors.utils.parameters import tensor

# Where the interval has less than this share of its tail, the difference of two tails has lost
# digits, and the density is nearly a polynomial there.
_NARROW = 0.1
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(5)


def log_interval(
    at_low: tuple[Any, Any],
    at_high: tuple[Any, Any],
    low: Any,
    width: Any,
    log_density: Callable[[Any], Any],
) -> Any:
    """log of the mass between low and low + width, from the tail in which it has its digits.

    Args:
        at_low: the logarithms of the masses below and above the lower ends.
        at_high: those of the upper ends.
        low: tensor, the lower ends, inside the support.
        width: tensor, greater than 0.
        log_density: function of a tensor with an axis before all others, smooth on the interval.
    """
    (below_low, above_low), (below_high, above_high) = at_low, at_high
    upper = above_low < below_high
    larger = ops.where(upper, above_low, below_high)
    ratio = larger - ops.where(upper, above_high, below_low)
    narrow = ratio < _NARROW
    by_tails = larger + log1m_exp(ops.where(narrow, 1.0, ratio))
    half = 0.5 * width
    middle = low + half
    terms = log_density(ops.stack([middle + float(node) * half for node in _NODES]))
    weights = np.log(_WEIGHTS).reshape(-1, *[1] * len(half.shape))
    by_rule = ops.logsumexp(terms + tensor(weights, half.dtype), axis=0) + ops.log(half)
    return ops.where(narrow, by_rule, by_tails)
