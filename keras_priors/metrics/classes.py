"""Labels and probabilities of classes, checked."""

from typing import Any

import keras
import numpy as np


def labels_and_probabilities(y_true: Any, y_prob: Any) -> tuple[Any, Any]:
    """Integer labels (N,) and float64 probabilities (N, C); (N,) of class 1 becomes (N, 2)."""
    y_true, y_prob = _to_numpy(y_true), _to_numpy(y_prob).astype("float64")
    if y_prob.ndim == 1 or y_prob.shape[1:] == (1,):
        y_prob = np.stack([1.0 - y_prob.ravel(), y_prob.ravel()], axis=1)
    if y_prob.ndim != 2 or len(y_prob) == 0:
        raise ValueError(
            "`y_prob` must have the shape (N, C), or (N,) for the probability of class 1 of 2. "
            f"Received: shape {y_prob.shape}."
        )
    if not (np.all(y_prob >= 0) and np.allclose(y_prob.sum(axis=1), 1.0, atol=1e-4)):
        raise ValueError(
            "Rows of `y_prob` must be probabilities: not negative, with the sum 1. Received: "
            f"values from {y_prob.min():.4g} to {y_prob.max():.4g}, sums from "
            f"{y_prob.sum(axis=1).min():.4g} to {y_prob.sum(axis=1).max():.4g}. "
            "Of logits take the softmax first."
        )
    if y_true.shape == (len(y_prob), 1):
        y_true = y_true[:, 0]
    if y_true.shape != (len(y_prob),):
        raise ValueError(
            f"`y_true` must hold one label for each of the {len(y_prob)} rows of `y_prob`. "
            f"Received: shape {y_true.shape}. Of one-hot rows take y_true.argmax(axis=-1)."
        )
    classes = y_prob.shape[1]
    if not np.all(np.isin(y_true, np.arange(classes))):
        raise ValueError(
            f"`y_true` must hold integer labels from 0 to {classes - 1}, the columns of "
            f"`y_prob`. Received: values from {y_true.min()!r} to {y_true.max()!r}."
        )
    return y_true.astype("int64"), y_prob


def _to_numpy(values: Any) -> Any:
    if keras.ops.is_tensor(values):
        return keras.ops.convert_to_numpy(values)
    return np.asarray(values)
