"""One arithmetic for two forms: NumPy in float64 for functions, `keras.ops` for metrics of `fit`.

What is computed is written once, as a function whose first argument `xp` is one of the two.
"""

from typing import Any

import keras
import numpy as np


class _NumPy:
    """NumPy by the names of `keras.ops`."""

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    def cast(self, x: Any, dtype: str) -> Any:
        """An array in another dtype."""
        return np.asarray(x).astype(dtype)

    def erf(self, x: Any) -> Any:
        """2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x."""
        from scipy.special import erf

        return erf(x)

    def segment_sum(self, data: Any, segment_ids: Any, num_segments: int) -> Any:
        """Sums (num_segments, k) of the rows (n, k) with the same id."""
        sums = [np.bincount(segment_ids, column, num_segments) for column in data.T]
        return np.stack(sums, axis=1)


NUMPY: Any = _NumPy()
KERAS: Any = keras.ops


def ratio(xp: Any, above: Any, below: Any) -> Any:
    """above / below, and 0 where below is 0."""
    empty = below == 0.0
    return xp.where(
        empty, xp.zeros_like(below), above / xp.where(empty, xp.ones_like(below), below)
    )
