"""The noise of a matrix normal at the output of a row."""

from typing import Any

import keras
from keras import ops

from keras_priors import backend

# Keeps the gradient of the square root finite at rows of zeros; far below any variance.
_TINY = 1e-30


def matrix_noise(rows: Any, scale_column: Any, seed: Any) -> Any:
    """|r| B e for each vector r = x A of `rows`, e ~ N(0, I): what A E Bᵀ adds to x w."""
    variance = ops.sum(ops.square(rows), axis=-1, keepdims=True)
    shape = (*tuple(ops.shape(rows))[: len(rows.shape) - 1], scale_column.shape[0])
    noise = backend.standard_normal(shape, seed, keras.backend.standardize_dtype(rows.dtype))
    return ops.sqrt(variance + _TINY) * ops.matmul(noise, ops.transpose(scale_column))
