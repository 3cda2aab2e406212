"""The linear map of a dense layer."""

from typing import Any

import keras
from keras import ops

from keras_priors import backend
from keras_priors.layers._linear_op import LinearOp


class DenseOp(LinearOp):
    """y = x w, over the last axis of x."""

    def __call__(self, x: Any, w: Any) -> Any:
        return ops.matmul(x, w)

    def input_signs_shape(self, x: Any) -> tuple[Any, ...]:
        """One sign for each element of x."""
        return tuple(ops.shape(x))

    def output_signs_shape(self, y: Any) -> tuple[Any, ...]:
        """One sign for each element of y."""
        return tuple(ops.shape(y))

    def matrix_noise(self, x: Any, scale_row: Any, scale_column: Any, seed: Any) -> Any:
        """|x A| times a normal with scale B, for each row: the noise of A E Bᵀ."""
        dtype = keras.backend.standardize_dtype(x.dtype)
        x = ops.cast(x, scale_row.dtype)
        variance = ops.sum(ops.square(ops.matmul(x, scale_row)), axis=-1, keepdims=True)
        shape = (*tuple(ops.shape(x))[:-1], scale_column.shape[0])
        noise = backend.standard_normal(
            shape, seed, keras.backend.standardize_dtype(scale_row.dtype)
        )
        noise = ops.matmul(noise, ops.transpose(scale_column))
        return ops.cast(ops.sqrt(variance + 1e-30) * noise, dtype)
