"""The linear map of a dense layer."""

from typing import Any

from keras import ops

from keras_priors.layers.linear_op import LinearOp
from keras_priors.layers.matrix_noise import matrix_noise


class DenseOp(LinearOp):
    """y = x w, over the last axis of x."""

    def apply(self, x: Any, w: Any) -> Any:
        return ops.matmul(x, w)

    def input_signs_shape(self, x: Any) -> tuple[Any, ...]:
        """One sign for each element of x."""
        return tuple(ops.shape(x))

    def output_signs_shape(self, y: Any) -> tuple[Any, ...]:
        """One sign for each element of y."""
        return tuple(ops.shape(y))

    def row_shape(self, y: Any) -> tuple[Any, ...]:
        """One number for each vector of y."""
        return (*tuple(ops.shape(y))[: len(y.shape) - 1], 1)

    def matrix_noise(self, x: Any, scale_row: Any, scale_column: Any, seed: Any) -> Any:
        """|x A| times a normal with scale B, for each row: the noise of A E Bᵀ."""
        rows = ops.matmul(ops.cast(x, scale_row.dtype), scale_row)
        return ops.cast(matrix_noise(rows, scale_column, seed), x.dtype)
