"""Batches of rows in an order that depends on a seed alone, on every backend."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np


class MemberBatches(keras.utils.PyDataset):
    """(x, y, weight) of an `Observations`, shuffled anew each epoch."""

    def __init__(self, observations: Any, size: int, words: list[int]) -> None:
        super().__init__()
        self._observations = observations
        self._size = min(size, observations.count)
        self._words = words
        self._epoch = 0
        self._shuffle()

    def __len__(self) -> int:
        return int(-(-self._observations.count // self._size))

    def __getitem__(self, index: int) -> Any:
        rows = self._order[index * self._size : (index + 1) * self._size]
        o = self._observations
        x, y = keras.tree.map_structure(lambda leaf: leaf[rows], (o.x, o.y))
        return x, y, o.weight[rows]

    def on_epoch_end(self) -> None:
        """A new order."""
        self._epoch += 1
        self._shuffle()

    def _shuffle(self) -> None:
        random = np.random.default_rng([*self._words, self._epoch])
        self._order = random.permutation(self._observations.count)
