"""Targets, predictions and weights of rows, checked."""

from typing import Any

import keras
import numpy as np

from keras_priors.functional.as_array import as_array
from keras_priors.utils.export import share
from keras_priors.utils.masked_elements import masked_elements


def refuse_masked(values: Any) -> None:
    """Refuse an array whose mask would be lost."""
    if masked := masked_elements(values):
        raise ValueError(
            f"A metric counts every number that it is given. Received: {masked}, where what lies "
            "beneath the mask would count. Leave these rows out, or fill them (y.filled(0)) and "
            "give them `sample_weight` 0."
        )


def to_numpy(values: Any) -> Any:
    """A NumPy array of a tensor or of whatever else holds numbers; none that is masked."""
    refuse_masked(values)
    if keras.ops.is_tensor(values):
        return keras.ops.convert_to_numpy(values)
    return np.asarray(values)


def real_array(values: Any, name: str) -> Any:
    """A float64 array without NaN."""
    array = to_numpy(values)
    if array.dtype.kind not in "fiub":
        array = as_array(values, name)
    array = array.astype("float64")
    if np.isnan(array).any():
        raise ValueError(
            f"`{name}` must hold numbers. Received: NaN in {int(np.isnan(array).sum())} of "
            f"{array.size} places. Leave out these rows, or give them `sample_weight` 0 and a "
            "number."
        )
    return array


@share
def like_rows(values: Any, shape: tuple[int, ...], name: str) -> Any:
    """An array of this shape, whose last axes of size 1 may lack or be more."""
    array = real_array(values, name)
    if array.shape != shape and not (
        array.size == int(np.prod(shape)) and without_ones(array.shape) == without_ones(shape)
    ):
        raise ValueError(
            f"`{name}` must have the shape of what was predicted, {shape}. Received: shape "
            f"{array.shape}."
        )
    return array.reshape(shape)


def probability_array(values: Any) -> tuple[Any, float]:
    """Probabilities in float64, and by how much a sum may miss 1: by more in half precision."""
    array = to_numpy(values)
    if array.dtype.kind not in "fiub" and not array.dtype.name.startswith("bfloat"):
        got = type(values).__name__
        raise TypeError(
            "Probabilities must be a Predictive of classes, or an array of numbers. Received: "
            f"{got}. Of a model with several outputs give one, with its own targets."
        )
    half = array.dtype.itemsize == 2 and array.dtype.kind not in "iu"
    return array.astype("float64"), 2e-2 if half else 1e-4


def without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape without its last axes of size 1."""
    shape = tuple(shape)
    while shape and shape[-1] == 1:
        shape = shape[:-1]
    return shape


def row_weights(sample_weight: Any, shape: tuple[int, ...]) -> Any:
    """One weight for each of `shape`: those of the first axes go to all that is behind them."""
    if 0 in shape:
        raise ValueError(f"A metric needs one row at least. Received: shape {shape}.")
    if sample_weight is None:
        return np.ones(shape)
    weights = real_array(sample_weight, "sample_weight")
    given = weights.shape
    if weights.shape != shape[: weights.ndim]:
        weights = weights.reshape(without_ones(weights.shape))
    if weights.ndim == 0 or weights.shape != shape[: weights.ndim]:
        raise ValueError(
            "`sample_weight` must have one number for each row, or for each step of it. Received: "
            f"shape {given} for rows of shape {shape}."
        )
    if not (np.all(np.isfinite(weights)) and np.all(weights >= 0.0) and weights.sum() > 0.0):
        raise ValueError(
            "`sample_weight` must be finite and not negative, and above 0 for one row. Received: "
            f"values from {weights.min():.4g} to {weights.max():.4g}."
        )
    return np.broadcast_to(
        weights.reshape(weights.shape + (1,) * (len(shape) - weights.ndim)), shape
    )


def weighted_mean(values: Any, sample_weight: Any) -> float:
    """sum w v / sum w, over all axes; a row of weight 0 counts nothing, whatever it is."""
    weights = row_weights(sample_weight, values.shape)
    return float((weights * np.where(weights > 0.0, values, 0.0)).sum() / weights.sum())
