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
        out: path of a `.npy` file for the array, for several outputs the structure of them with a
            path at each; or None for memory. The files are there when all is written: within
            `with`, what is unfinished is removed at the end.
    """

    def __init__(self, num_draws: int, num_rows: int | None, out: Any = None) -> None:
        self._out = out
        self._paths = [] if out is None else _checked(out)
        self._folders: list[tempfile.TemporaryDirectory[str]] = []
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
        for folder in self._folders:
            folder.cleanup()

    def write(self, outputs: Any, first_draw: int, valid: int) -> None:
        """Outputs (draws, rows, ...) of one call; the first `valid` rows count."""
        if self._arrays is None and self._out is not None:
            _check_structure(self._out, outputs)
        draws = min(self._num_draws - first_draw, keras.tree.flatten(outputs)[0].shape[0])
        outputs = keras.tree.map_structure(ops.convert_to_numpy, outputs)
        if self._arrays is None:
            rows = valid if self._num_rows is None else self._num_rows
            self._arrays = self._of_each(lambda y, place: self._empty(y, rows, place), outputs)

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
            whole = self._arrays
        elif len(self._finished) == 1:
            whole = self._finished[0]
        elif self._out is None:
            return keras.tree.map_structure(
                lambda *parts: np.concatenate(parts, axis=1), *self._finished
            )
        else:
            whole = self._joined()
        if self._out is None:
            return whole
        self._arrays, self._finished = None, []
        written = keras.tree.map_structure(lambda array: array.filename, whole)
        for array in keras.tree.flatten(whole):
            array.flush()
        del array, whole  # closed, which some systems want before the name changes
        return self._of_each(self._in_place, written)

    def _of_each(self, function: Any, outputs: Any) -> Any:
        """`function(output, its number)` of each output, in their structure."""
        found = [function(one, k) for k, one in enumerate(keras.tree.flatten(outputs))]
        return keras.tree.pack_sequence_as(outputs, found)

    def _in_place(self, written: Any, place: int) -> Any:
        os.replace(written, self._paths[place])
        return np.load(self._paths[place], mmap_mode="r")

    def _joined(self) -> Any:
        """The files of all chunks as one for each output."""
        chunks, self._finished = self._finished, []
        structure = keras.tree.map_structure(lambda _: 0, chunks[0])
        chunks = [keras.tree.flatten(chunk) for chunk in chunks]
        rows = sum(chunk[0].shape[1] for chunk in chunks)
        found = [
            self._file((self._num_draws, rows, *one.shape[2:]), one.dtype, place)
            for place, one in enumerate(chunks[0])
        ]
        first = 0
        while chunks:
            parts = chunks.pop(0)
            stop = first + parts[0].shape[1]
            for whole, part in zip(found, parts, strict=True):
                whole[:, first:stop] = part
                os.unlink(part.filename)
            first = stop
        return keras.tree.pack_sequence_as(structure, found)

    def _empty(self, y: Any, rows: int, place: int) -> Any:
        if y.ndim < 2:
            raise ValueError(
                "The model must give one output for each row. "
                f"Received: an output of shape {y.shape[1:]}."
            )
        shape = (self._num_draws, rows, *y.shape[2:])
        if self._out is None:
            return np.empty(shape, y.dtype)
        # The small floats of `ml_dtypes` have no name in a file of NumPy.
        return self._file(shape, y.dtype if y.dtype.kind in "fiub" else np.dtype("float32"), place)

    def _file(self, shape: tuple[int, ...], dtype: Any, place: int) -> Any:
        """A new array on the disk of that output."""
        if not self._folders:
            self._folders = [
                tempfile.TemporaryDirectory(dir=path.parent, prefix=".unfinished-")
                for path in self._paths
            ]
        self._files += 1
        folder = self._folders[place].name
        size, free = int(np.prod(shape)) * dtype.itemsize, shutil.disk_usage(folder).free
        if size > free:  # a file that is mapped would end the process
            raise OSError(
                f"`out` must have room for the draws. Received: {self._paths[place]}, where {free} "
                f"bytes are free, for {size}. Take another disk, fewer draws (`num_samples`) or "
                "rows."
            )
        path = pathlib.Path(folder) / f"{self._files}.npy"
        return np.lib.format.open_memmap(path, "w+", dtype, shape)


def _checked(out: Any) -> list[pathlib.Path]:
    """The paths, in the order of the outputs."""
    paths: list[pathlib.Path] = []
    for one in keras.tree.flatten(out):
        if not isinstance(one, (str, os.PathLike)):
            raise TypeError(
                "`out` must be the path of a file whose name ends in .npy, for several outputs "
                f"one for each. Received: out={out!r} with {one!r} of type {type(one).__name__}."
            )
        path = pathlib.Path(one)
        if path.suffix != ".npy" or not path.parent.is_dir():
            raise ValueError(
                "`out` must be the path of a file whose name ends in .npy, in a folder that is "
                f"there. Received: out={str(one)!r}."
            )
        if path.resolve() in (other.resolve() for other in paths):
            raise ValueError(
                f"Each output must have a file of its own. Received: {str(one)!r} for two."
            )
        paths.append(path)
    return paths


def _check_structure(out: Any, outputs: Any) -> None:
    """Refuses paths that are not those of these outputs."""
    names = keras.tree.map_structure(lambda _: ".npy", outputs)
    given = keras.tree.map_structure(lambda _: ".npy", out)
    if names == given or (isinstance(names, list | tuple) and names == type(names)(given)):
        return
    raise ValueError(
        "`out` must be the path of a file, for a model with several outputs the structure of them "
        f"with a path at each: {names!r}. Received: out={out!r}."
    )
