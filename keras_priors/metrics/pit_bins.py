"""The histogram of PIT values, and its distance from uniform."""

from typing import Any

import keras
import numpy as np

from keras_priors.utils.parameters import whole_number


def levels(owner: str, n_bins: Any) -> int:
    """A number of bins with a level between two of them."""
    if whole_number(owner, "n_bins", n_bins) < 2:
        raise ValueError(f"`n_bins` of {owner} must be at least 2. Received: n_bins={n_bins}.")
    return int(n_bins)


def pit_bins(xp: Any, values: Any, weights: Any, n_bins: int) -> Any:
    """Weights (n_bins,) of the values in ((b - 1) / n_bins, b / n_bins], 0 in the first."""
    dtype = keras.backend.standardize_dtype(values.dtype)
    edges = xp.cast(np.linspace(0.0, 1.0, n_bins + 1)[1:-1], dtype)
    index = xp.cast(xp.searchsorted(edges, values, side="left"), "int32")
    # A value that is no number has no bin: it makes the sums none.
    weights = xp.where(weights > 0.0, weights + 0.0 * values, xp.zeros_like(weights))
    return xp.segment_sum(weights[:, None], index, n_bins)[:, 0]


def distance_from_uniform(xp: Any, table: Any) -> Any:
    """mean_b |share below b / n - b / n| over the levels within."""
    n = table.shape[0]
    below = xp.cumsum(table)[:-1] / xp.sum(table)
    dtype = keras.backend.standardize_dtype(table.dtype)
    return xp.mean(xp.abs(below - xp.cast(np.arange(1, n) / n, dtype)))
