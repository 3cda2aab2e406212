"""Outputs of all draws and rows, gathered from chunks."""

from __future__ import annotations

import os
import pathlib
import shutil
import tempfile
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
        out: path of a `.npy` file for the array, or None for one in memory. It is there when all
            is written: within `with`, what is unfinished is removed at the end.
    """

    def __init__(self, num_draws: int, num_rows: int | None, out: Any = None) -> None:
        self._out = None if out is None else _checked(out)
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._files = 0
        self._num_draws = num_draws
        self._num_rows = num_rows
        self._arrays: Any = None
        self._start = 0
        self._finished: list[Any] = []

    def __enter__(self) -> Results:
        return self

    def __exit__(self, *error: Any) -> None:
        self._arrays, self._finished = None, []
        if self._folder is not None:
            self._folder.cleanup()

    def write(self, outputs: Any, first_draw: int, valid: int) -> None:
        """Outputs (draws, rows, ...) of one call; the first `valid` rows count."""
        if self._out is not None and keras.tree.is_nested(outputs):
            raise ValueError(
                "`out` is one file for the one output of a model. Received: a model with several. "
                "Leave it out, or make a model of one output: "
                "keras.Model(model.inputs, model.outputs[0])."
            )
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
        if self._out is None:
            if self._num_rows is not None:
                return self._arrays
            if len(self._finished) == 1:
                return self._finished[0]
            return keras.tree.map_structure(
                lambda *parts: np.concatenate(parts, axis=1), *self._finished
            )
        whole = self._arrays
        if self._num_rows is None:
            whole = self._joined()
        whole.flush()
        written = whole.filename
        self._arrays = whole = None  # closed, which some systems want before the name changes
        os.replace(written, self._out)
        return np.load(self._out, mmap_mode="r")

    def _joined(self) -> Any:
        parts, self._finished = self._finished, []
        if len(parts) == 1:
            return parts[0]
        rows = sum(part.shape[1] for part in parts)
        whole = self._file((self._num_draws, rows, *parts[0].shape[2:]), parts[0].dtype)
        first = 0
        while parts:
            part = parts.pop(0)
            whole[:, first : first + part.shape[1]] = part
            first += part.shape[1]
            os.unlink(part.filename)
        return whole

    def _empty(self, y: Any, rows: int) -> Any:
        if y.ndim < 2:
            raise ValueError(
                "The model must give one output for each row. "
                f"Received: an output of shape {y.shape[1:]}."
            )
        shape = (self._num_draws, rows, *y.shape[2:])
        if self._out is None:
            return np.empty(shape, y.dtype)
        # The small floats of `ml_dtypes` have no name in a file of NumPy.
        return self._file(shape, y.dtype if y.dtype.kind in "fiub" else np.dtype("float32"))

    def _file(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """A new array on disk."""
        assert self._out is not None
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(dir=self._out.parent, prefix=".unfinished-")
        self._files += 1
        path = pathlib.Path(self._folder.name) / f"{self._files}.npy"
        size, free = int(np.prod(shape)) * dtype.itemsize, shutil.disk_usage(self._folder.name).free
        if size > free:  # a file that is mapped would end the process
            raise OSError(
                f"`out` must have room for the draws. Received: {self._out}, where {free} bytes "
                f"are free, for {size}. Take another disk, fewer draws (`num_samples`) or rows."
            )
        return np.lib.format.open_memmap(path, "w+", dtype, shape)


def _checked(out: Any) -> pathlib.Path:
    if not isinstance(out, (str, os.PathLike)):
        raise TypeError(
            "`out` must be the path of a file whose name ends in .npy. Received: "
            f"out={out!r} of type {type(out).__name__}."
        )
    path = pathlib.Path(out)
    if path.suffix != ".npy" or not path.parent.is_dir():
        raise ValueError(
            "`out` must be the path of a file whose name ends in .npy, in a folder that is there. "
            f"Received: out={str(out)!r}."
        )
    return path
