"""Scores of single rows, by NumPy or by `keras.ops`."""

import math
from typing import Any


def squared_distances(xp: Any, labels: Any, probabilities: Any) -> Any:
    """sum_c (p_c - [y = c])^2, (M,)."""
    hit = xp.equal(labels[:, None], xp.arange(probabilities.shape[-1], dtype=labels.dtype))
    return xp.sum(xp.square(xp.where(hit, probabilities - 1.0, probabilities)), axis=-1)


def normal_crps(xp: Any, y: Any, mean: Any, scale: Any) -> Any:
    """scale (z (2 Phi(z) - 1) + 2 phi(z) - 1 / sqrt(pi)) with z = (y - mean) / scale."""
    return absolute_normal(xp, y - mean, scale) - scale / math.sqrt(math.pi)


def absolute_normal(xp: Any, mean: Any, scale: Any) -> Any:
    """E|X| of X ~ N(mean, scale^2): mean (2 Phi(z) - 1) + 2 scale phi(z), z = mean / scale."""
    z = mean / scale
    density = xp.exp(-0.5 * xp.square(z)) * math.sqrt(2.0 / math.pi)
    return mean * xp.erf(z * math.sqrt(0.5)) + scale * density


def normal_cdf(xp: Any, y: Any, mean: Any, scale: Any) -> Any:
    """Phi((y - mean) / scale)."""
    return 0.5 * (1.0 + xp.erf((y - mean) / scale * math.sqrt(0.5)))


def interval_scores(xp: Any, y: Any, low: Any, high: Any, coverage: float) -> Any:
    """(high - low) + 2 / alpha ((low - y)+ + (y - high)+), alpha = 1 - coverage."""
    outside = xp.maximum(low - y, xp.zeros_like(y)) + xp.maximum(y - high, xp.zeros_like(y))
    return high - low + 2.0 / (1.0 - coverage) * outside


def hits(xp: Any, y: Any, low: Any, high: Any) -> Any:
    """1 where low <= y <= high, 0 elsewhere, and NaN for a NaN."""
    inside = xp.cast(xp.logical_and(y >= low, y <= high), low.dtype)
    known = xp.logical_not(xp.logical_or(xp.isnan(y), xp.logical_or(xp.isnan(low), xp.isnan(high))))
    return xp.where(known, inside, xp.full_like(inside, math.nan))


def pinball_losses(xp: Any, y: Any, quantile: Any, level: float) -> Any:
    """max(q (y - x), (q - 1) (y - x)) of the quantile x at the level q."""
    return xp.maximum(level * (y - quantile), (level - 1.0) * (y - quantile))
