"""The running moments of weights along a trajectory, from which SWAG makes a normal."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_priors.utils.export import share
from keras_priors.utils.parameters import whole_number


@share
class SWAGMoments:
    """Mean, mean square and the last deviations of vectors (D,), in float64.

    The squares are kept about the first vector, so that nothing cancels.

    Args:
        rank: integer, how many of the last deviations from the running mean are kept.
    """

    def __init__(self, rank: int) -> None:
        self.rank = rank
        self.count = 0
        self._deviations: list[Any] = []

    def add(self, vector: Any) -> None:
        """One more vector."""
        vector = np.asarray(vector, "float64")
        if self.count == 0:
            self._mean, self._second = np.zeros_like(vector), np.zeros_like(vector)
        self.count += 1
        before = vector - self._mean
        self._mean = self._mean + before / self.count
        after = vector - self._mean
        self._second += before * after
        if self.rank:
            self._deviations = [*self._deviations, after][-self.rank :]

    def normal(self) -> tuple[Any, Any, Any]:
        """(mean (D,), variance (D,), deviations (K, D)), float32."""
        variance = self._second / self.count
        deviations = np.reshape(self._deviations, (len(self._deviations), len(variance)))
        return tuple(v.astype("float32") for v in (self._mean, variance, deviations))  # type: ignore[return-value]


@share
def checked_rank(owner: str, rank: Any) -> int:
    """0, or an integer of at least 2."""
    if rank == 0:
        return 0
    rank = whole_number(owner, "rank", rank)
    if rank == 1:
        raise ValueError(
            f"`rank` of {owner} must be 0 or at least 2: one deviation has no spread. Received: "
            "rank=1."
        )
    return int(rank)
