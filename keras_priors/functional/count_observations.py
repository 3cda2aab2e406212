"""How many observations one epoch of `fit` sees in the data it is given."""

from typing import Any

import keras
import numpy as np

from keras_priors.utils.export import share
from keras_priors.utils.parameters import whole_number

INSTEAD = "Count the observations yourself and pass the integer: `set_num_data(model, 60000)`."
INFINITE = -1  # what `tf.data.Dataset.cardinality` returns for an endless one; unknown is -2


@share
def count_observations(data: Any) -> int:
    """Number of observations in an integer, arrays, a dataset or a loader."""
    if isinstance(data, (bool, float, str, bytes, np.floating, np.bool_)) or data is None:
        raise TypeError(_message(data))
    if isinstance(data, (int, np.integer)):
        return whole_number("set_num_data", "data", data)
    if isinstance(data, keras.utils.PyDataset):
        return _at_least_one(_count_py_dataset(data), data)
    # Recognised by name, so that no library is imported here: who has such an object, has it.
    if is_a(data, "tensorflow.", "DatasetV2"):
        return _at_least_one(_count_tf_dataset(data), data)
    if is_a(data, "torch.utils.data", "DataLoader"):
        return _at_least_one(_count_data_loader(data), data)
    return _at_least_one(_count_arrays(data), data)


@share
def is_a(value: Any, module: str, name: str) -> bool:
    """Whether a value is of a class of that name, by name: its library need not be imported."""
    return any(
        base.__name__ == name and base.__module__.startswith(module) for base in type(value).__mro__
    )


def _message(data: Any) -> str:
    return (
        "The data of `set_num_data` must be an integer, an array, a dict, list or tuple of "
        "arrays, a tf.data.Dataset, a keras.utils.PyDataset or a torch DataLoader. "
        f"Received: {_short(data)} of type {type(data).__name__}. {INSTEAD}"
    )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _at_least_one(count: int, data: Any) -> int:
    if count < 1:
        raise ValueError(
            "The data of `set_num_data` must hold at least one observation. "
            f"Received: {type(data).__name__} with {count}. {INSTEAD}"
        )
    return count


def _count_arrays(data: Any) -> int:
    leaves = [leaf for leaf in keras.tree.flatten(data) if leaf is not None]
    if not leaves:
        raise TypeError(_message(data))
    lengths = [_length(leaf, data) for leaf in leaves]
    if len(set(lengths)) > 1:
        raise ValueError(
            "The arrays of `set_num_data` must have one length along their first axis, the "
            f"observations. Received: lengths {lengths}. Pass those of the training set alone."
        )
    return lengths[0]


def _length(array: Any, data: Any) -> int:
    shape = getattr(array, "shape", None)
    # A list of numbers, as in `[1.0, 2.0]`, ends here too: for Keras a list is several inputs.
    if shape is None or len(shape) == 0 or shape[0] is None:
        raise TypeError(_message(data))
    return int(shape[0])


def _count_batches(batches: Any, data: Any) -> int:
    return sum(_batch_length(batch, data) for batch in batches)


def _batch_length(batch: Any, data: Any) -> int:
    # The first array, as Keras counts; targets and weights have the same length.
    leaves = [leaf for leaf in keras.tree.flatten(batch) if leaf is not None]
    if not leaves:
        raise TypeError(_message(data))
    return _length(leaves[0], data)


def _endless(data: Any) -> ValueError:
    return ValueError(
        "`set_num_data` cannot count the observations of data without an end. "
        f"Received: an infinite {type(data).__name__}. {INSTEAD}"
    )


def _count_tf_dataset(data: Any) -> int:
    cardinality = int(data.cardinality())
    if cardinality == INFINITE:
        raise _endless(data)
    shapes = [getattr(spec, "shape", None) for spec in keras.tree.flatten(data.element_spec)]
    known = [shape for shape in shapes if shape is not None and shape.rank is not None]
    first = {shape[0] if shape.rank else "no axis" for shape in known}
    # Components without an axis, or of different lengths, share no batch axis.
    batched = len(known) < len(shapes) or not ("no axis" in first or len(first - {None}) > 1)
    if not batched:
        return cardinality if cardinality >= 0 else sum(1 for _ in data)
    if cardinality >= 0 and len(known) == len(shapes) and len(first) == 1 and None not in first:
        return cardinality * int(first.pop())
    return _count_batches(data, data)


def _count_py_dataset(data: Any) -> int:
    if data.num_batches is None:
        raise _endless(data)
    return _count_batches((data[index] for index in range(data.num_batches)), data)


def _count_data_loader(data: Any) -> int:
    if is_a(data.dataset, "torch.utils.data", "IterableDataset"):
        return _count_batches(data, data)
    if data.batch_size is None:
        # Either the loader leaves batches to a `batch_sampler`, or an item is a batch already.
        if data.batch_sampler is not None:
            return sum(len(batch) for batch in data.batch_sampler)
        return _count_batches(data, data)
    # The sampler, not the data set: it may draw a part of it, or draw with replacement.
    drawn = len(data.sampler)
    return drawn - drawn % data.batch_size if data.drop_last else drawn
