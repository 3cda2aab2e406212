"""Rows of any kind of data, in chunks of one size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol, runtime_checkable

import keras
import numpy as np

from keras_priors.functional.as_array import as_array
from keras_priors.functional.check_finite_rows import check_finite_rows
from keras_priors.functional.check_inputs import check_inputs
from keras_priors.functional.count_observations import is_a
from keras_priors.functional.row_blocks import bucket
from keras_priors.utils.export import share


@runtime_checkable
class ArrayLike(Protocol):
    """Anything that NumPy takes as an array: arrays, tensors, data frames."""

    def __array__(self) -> Any: ...


@share
class Rows:
    """The inputs `x` of `keras_priors.predict`, read once from the first row to the last.

    Args:
        x: arrays in the structure of the model's inputs, or an iterable of batches of x, (x, y)
            or (x, y, sample_weight): `tf.data.Dataset`, `PyDataset`, `DataLoader`.
        model: the `keras.Model` that is to take them: rows of a wrong shape, or with NaN and
            infinity that it does not fill in, are refused as they are read.
    """

    def __init__(self, x: Any, model: Any) -> None:
        self.count: int | None = None
        """The number of rows, or None where only reading tells."""
        if is_arrays(x):
            self.first = keras.tree.map_structure(as_array, x)
            self.count = count_rows(self.first)
            if self.count == 0:
                raise ValueError("`x` must have at least one row. Received: an empty array.")
            batches: Iterator[Any] = iter([])
        else:
            batches = _batches(x)
            self.first = next(batches, None)
            if self.first is None:
                raise ValueError(
                    "`x` must have at least one batch of rows. Received: an empty one."
                )
        _check(model, self.first, 0)
        self._batches = _checked(model, self.first, batches)

    def chunks(self, size: int) -> Iterator[tuple[Any, int]]:
        """Chunks of `size` rows, each with how many of them count; the last one is padded.

        Where it is the only one, it is padded to its `bucket` alone.
        """
        held: list[Any] = []
        rows = 0
        padded_to: int | None = None
        for batch in self._batches:
            held.append(batch)
            rows += count_rows(batch)
            if rows < size:
                continue
            joined = _join(held)
            for start in range(0, rows - size + 1, size):
                yield _cut(joined, start, start + size), size
                padded_to = size
            rest = rows % size
            held = [_cut(joined, rows - rest, rows)] if rest else []
            rows = rest
        if rows:
            yield _pad(_join(held), padded_to or min(bucket(rows), size)), rows


def is_arrays(x: Any) -> bool:
    """Whether `x` is arrays and no data set; refuses what is neither."""
    if isinstance(x, keras.utils.PyDataset):
        return False
    if isinstance(x, (list, tuple, dict)):
        return True
    # They can be iterated over, but are no data set; `as_array` says what to do with them.
    if type(x).__module__.startswith(("scipy.sparse", "jax.experimental.sparse")):
        return True
    if is_a(x, "tensorflow", "SparseTensor") or is_a(x, "tensorflow", "RaggedTensor"):
        return True
    if isinstance(x, ArrayLike) or keras.ops.is_tensor(x):
        return True
    if isinstance(x, Iterable) and not isinstance(x, (str, bytes)):
        return False
    raise TypeError(
        "`x` must be an array, a list or dictionary of arrays, or a data set such as "
        f"tf.data.Dataset, PyDataset or DataLoader. Received: x={x!r} of type {type(x).__name__}."
    )


def _batches(x: Any) -> Iterator[Any]:
    for batch in _pydataset(x) if isinstance(x, keras.utils.PyDataset) else x:
        inputs, _, _ = keras.utils.unpack_x_y_sample_weight(batch)
        inputs = keras.tree.map_structure(as_array, inputs)
        if count_rows(inputs):
            yield inputs


def _pydataset(x: Any) -> Iterator[Any]:
    if x.num_batches is None:
        raise ValueError(
            "`x` must end. Received: a PyDataset with num_batches=None. Give it a `__len__`."
        )
    return (x[i] for i in range(x.num_batches))


def _checked(model: Any, first: Any, rest: Iterator[Any]) -> Iterator[Any]:
    yield first
    before = count_rows(first)
    for batch in rest:
        _check(model, batch, before)
        before += count_rows(batch)
        yield batch


def _check(model: Any, batch: Any, before: int) -> None:
    check_inputs(model, batch)
    check_finite_rows(model, batch, before)


def count_rows(arrays: Any) -> int:
    """How many rows a structure of arrays has."""
    counts = {len(leaf) for leaf in keras.tree.flatten(arrays)}
    if len(counts) != 1:
        raise ValueError(
            "All arrays of `x` must have the same number of rows. Received: "
            f"{[leaf.shape for leaf in keras.tree.flatten(arrays)]}."
        )
    return int(counts.pop())


def _join(parts: list[Any]) -> Any:
    if len(parts) == 1:
        return parts[0]
    return keras.tree.map_structure(lambda *leaves: np.concatenate(leaves), *parts)


def _cut(arrays: Any, start: int, stop: int) -> Any:
    return keras.tree.map_structure(lambda leaf: leaf[start:stop], arrays)


def _pad(arrays: Any, size: int) -> Any:
    def pad(leaf: Any) -> Any:
        # Repeats of the last row: valid input, whatever the model does with it.
        return np.concatenate([leaf, np.repeat(leaf[-1:], size - len(leaf), axis=0)])

    return arrays if count_rows(arrays) == size else keras.tree.map_structure(pad, arrays)
