"""The data of an inference: arrays in memory, and blocks of rows of one size."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors.functional.as_array import as_array
from keras_priors.functional.count_observations import INFINITE, is_a
from keras_priors.functional.rows import count_rows, is_arrays
from keras_priors.utils.export import share


@share
class Observations:
    """Rows of x with their y and weights, as NumPy arrays.

    Args:
        x: arrays in the structure of the model's inputs, or a data set of (x, y) or
            (x, y, sample_weight) batches, which is read once.
        y: targets in the structure of the model's outputs; None with a data set.
        sample_weight: array (N,) or None, by how much each row's log density counts.
    """

    def __init__(self, x: Any, y: Any = None, sample_weight: Any = None) -> None:
        if is_arrays(x):
            if y is None:
                raise ValueError(
                    "A posterior needs targets. Received: x without y. Give `y`, or a data set of "
                    "(x, y) batches."
                )
        else:
            if y is not None or sample_weight is not None:
                raise ValueError(
                    "A data set brings its targets and weights with it. Received: "
                    f"x of type {type(x).__name__}, and y or sample_weight. Give x alone."
                )
            x, y, sample_weight = _read(x)
        self.x = keras.tree.map_structure(as_array, x)
        self.y = _targets(y)
        self.count = count_rows(self.x)
        """The number of rows."""
        self.weight = _checked_weight(sample_weight, self.count)
        counts = {len(leaf) for leaf in keras.tree.flatten(self.y)}
        if counts != {self.count} or self.count == 0:
            raise ValueError(
                "`x` and `y` must have the same number of rows, at least one. Received: "
                f"{self.count} rows of x and targets with {sorted(counts)} rows."
            )

    def blocks(self, size: int) -> Any:
        """(x, y, weight) as tensors (blocks, size, ...); rows that fill up have weight 0."""
        number = -(-self.count // size)

        def stack(leaf: Any) -> Any:
            # Repeats of the last row: valid input, whatever the model does with it.
            fill = number * size - self.count
            if fill:
                leaf = np.concatenate([leaf, np.repeat(leaf[-1:], fill, axis=0)])
            return ops.convert_to_tensor(leaf.reshape(number, size, *leaf.shape[1:]))

        weight = np.pad(self.weight, (0, number * size - self.count))
        return (
            keras.tree.map_structure(stack, self.x),
            keras.tree.map_structure(stack, self.y),
            ops.convert_to_tensor(weight.reshape(number, size)),
        )

    def block(self, k: int, size: int) -> Any:
        """The k-th of the `blocks`, as tensors (size, ...)."""
        rows = np.arange(k * size, (k + 1) * size)
        x, y, _ = self.batch(np.minimum(rows, self.count - 1))
        weight = np.where(rows < self.count, self.weight[np.minimum(rows, self.count - 1)], 0.0)
        return x, y, ops.convert_to_tensor(weight.astype("float32"))

    def batch(self, indices: Any) -> Any:
        """(x, y, weight) of these rows, as tensors."""

        def take(leaf: Any) -> Any:
            return ops.convert_to_tensor(leaf[indices])

        return (
            keras.tree.map_structure(take, self.x),
            keras.tree.map_structure(take, self.y),
            take(self.weight),
        )


def _read(batches: Any) -> tuple[Any, Any, Any]:
    endless = isinstance(batches, keras.utils.PyDataset) and batches.num_batches is None
    if is_a(batches, "tensorflow.", "DatasetV2"):
        endless = int(batches.cardinality()) == INFINITE
    if endless:
        raise ValueError(
            f"The data must end. Received: an endless {type(batches).__name__}. "
            "Give a PyDataset a `__len__`, and leave `repeat()` of a tf.data.Dataset out."
        )
    if isinstance(batches, keras.utils.PyDataset):
        dataset, number = batches, batches.num_batches
        batches = (dataset[i] for i in range(number))
    parts = [keras.utils.unpack_x_y_sample_weight(batch) for batch in batches]
    if not parts or any(y is None for _, y, _ in parts):
        raise ValueError(
            "The data set must give (x, y) or (x, y, sample_weight). Received: "
            + ("batches without targets." if parts else "no batch.")
        )
    weights = [as_array(w, "sample_weight") for _, _, w in parts if w is not None]
    missing = len(parts) - len(weights)
    if weights and missing:
        raise ValueError(
            "Each batch of a data set must have weights, or none of them. Received: "
            f"{missing} of {len(parts)} batches without."
        )
    joined = keras.tree.map_structure(
        lambda *leaves: np.concatenate(leaves),
        *[
            (
                keras.tree.map_structure(as_array, x),
                _targets(y),
            )
            for x, y, _ in parts
        ],
    )
    return *joined, np.concatenate(weights) if weights else None


def _targets(y: Any) -> Any:
    return keras.tree.map_structure(lambda leaf: as_array(leaf, "y"), y)


def _checked_weight(sample_weight: Any, count: int) -> Any:
    if sample_weight is None:
        return np.ones(count, "float32")
    weight = as_array(sample_weight, "sample_weight").astype("float32")
    if weight.shape == (count, 1):
        weight = weight[:, 0]
    if weight.shape != (count,) or not np.all(np.isfinite(weight)) or np.any(weight < 0):
        raise ValueError(
            "`sample_weight` must hold one finite number of at least 0 for each row. Received: "
            f"an array of shape {weight.shape} for {count} rows."
        )
    return weight
