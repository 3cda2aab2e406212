"""Outputs of all draws and rows, gathered from chunks."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors.utils.export import share


@share
class Results:
    """Arrays (S, N, ...) in the structure of the outputs, written call by call.

    Args:
        num_draws: integer, S.
        num_rows: integer or None, N; where it is unknown, chunks are joined at the end.
    """

    def __init__(self, num_draws: int, num_rows: int | None) -> None:
        self._num_draws = num_draws
        self._num_rows = num_rows
        self._arrays: Any = None
        self._start = 0
        self._finished: list[Any] = []

    def write(self, outputs: Any, first_draw: int, valid: int) -> None:
        """Outputs (draws, rows, ...) of one call; the first `valid` rows count."""
        draws = min(self._num_draws - first_draw, keras.tree.flatten(outputs)[0].shape[0])
        outputs = keras.tree.map_structure(ops.convert_to_numpy, outputs)
        if self._arrays is None:
            rows = valid if self._num_rows is None else self._num_rows
            self._arrays = keras.tree.map_structure(lambda y: self._empty(y, rows), outputs)

        def place(array: Any, y: Any) -> None:
            rows = slice(self._start, self._start + valid)
            array[first_draw : first_draw + draws, rows] = y[:draws, :valid]

        for array, y in zip(
            keras.tree.flatten(self._arrays), keras.tree.flatten(outputs), strict=True
        ):
            place(array, y)

    def next_chunk(self, valid: int) -> None:
        """All draws of a chunk are written."""
        if self._num_rows is None:
            self._finished.append(self._arrays)
            self._arrays = None
        else:
            self._start += valid

    def outputs(self) -> Any:
        """The arrays (S, N, ...)."""
        if self._num_rows is not None:
            return self._arrays
        if len(self._finished) == 1:
            return self._finished[0]
        return keras.tree.map_structure(
            lambda *parts: np.concatenate(parts, axis=1), *self._finished
        )

    def _empty(self, y: Any, rows: int) -> Any:
        if y.ndim < 2:
            raise ValueError(
                "The model must give one output for each row. "
                f"Received: an output of shape {y.shape[1:]}."
            )
        return np.empty((self._num_draws, rows, *y.shape[2:]), y.dtype)
