"""The batches of a member of an ensemble."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops


class MemberBatches(keras.utils.PyDataset):
    """(x, y, weight) of the first rows of an `Observations`, shuffled anew each epoch. Final.

    To Keras an epoch is a number of batches that the caller chooses: what it does around one, some
    30 ms on TensorFlow, is then done less often. The batches are the same, one after the other.

    Args:
        observations: the rows.
        size: rows of a batch.
        words: the seed of the orders, a list of integers.
        count: how many of the rows there are batches of.
        steps: batches of what is an epoch to Keras. Defaults to None: those of all rows.
    """

    def __init__(
        self,
        observations: Any,
        size: int,
        words: list[int],
        count: int,
        steps: int | None = None,
    ) -> None:
        super().__init__()
        self._observations = observations
        self._count = count
        self._size = min(size, count)
        self._words = words
        self._steps = -(-count // self._size)
        self._of_keras = steps or self._steps
        self._passed = 0
        # On JAX and PyTorch Keras ends an epoch more where it builds a model by a first batch.
        self.callbacks = [_AtTheStart(self)]
        self._order: tuple[int, Any] = (-1, None)

    def __len__(self) -> int:
        return self._of_keras

    def __getitem__(self, index: int) -> Any:
        epoch, step = divmod(self._passed * self._of_keras + index, self._steps)
        rows = self._order_of(epoch)[step * self._size : (step + 1) * self._size]
        o = self._observations
        x, y = keras.tree.map_structure(lambda leaf: as_fit_takes(leaf[rows]), (o.x, o.y))
        return x, y, o.weight[rows]

    def on_epoch_end(self) -> None:
        """What comes next are later batches."""
        self._passed += 1

    def from_the_first(self) -> None:
        """The next batch is the first of the first epoch."""
        self._passed = 0

    def _order_of(self, epoch: int) -> Any:
        known, order = self._order
        if known != epoch:
            order = np.random.default_rng([*self._words, epoch]).permutation(self._count)
            self._order = epoch, order
        return order


class _AtTheStart(keras.callbacks.Callback):
    """Final."""

    def __init__(self, batches: MemberBatches) -> None:
        super().__init__()
        self._batches = batches

    def on_train_begin(self, logs: Any = None) -> None:
        self._batches.from_the_first()


def as_fit_takes(rows: Any) -> Any:
    """Rows as `fit` takes them: of strings Keras takes tensors alone."""
    return ops.convert_to_tensor(rows) if rows.dtype.kind in "UT" else rows
