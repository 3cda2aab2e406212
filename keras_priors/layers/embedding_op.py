"""The linear map of an embedding."""

from typing import Any

from keras import ops

from keras_priors.layers.linear_op import LinearOp
from keras_priors.layers.matrix_noise import matrix_noise


class EmbeddingOp(LinearOp):
    """y = w[x]: the row of the table w for each token of x. Each token is a row of its own."""

    def __init__(self, dtype: str) -> None:
        self._dtype = dtype

    def __call__(self, x: Any, w: Any) -> Any:
        """y for a table w."""
        return ops.cast(self.apply(x, w), self._dtype)

    def apply(self, x: Any, w: Any) -> Any:
        return ops.take(w, x, axis=0)

    def dtype(self, x: Any) -> str:
        """That of the layer: tokens are integers."""
        return self._dtype

    def input_signs_shape(self, x: Any) -> tuple[Any, ...]:
        """One sign for each token."""
        return tuple(ops.shape(x))

    def output_signs_shape(self, y: Any) -> tuple[Any, ...]:
        """One sign for each element of y."""
        return tuple(ops.shape(y))

    def row_shape(self, y: Any) -> tuple[Any, ...]:
        """One number for each token."""
        return (*tuple(ops.shape(y))[: len(y.shape) - 1], 1)

    def flipped(self, x: Any, w: Any, seed: Any) -> Any:
        """y itself: a token looks up one row, and the signs of outputs flip all of it."""
        return self(x, w)

    def output_variance(self, x: Any, variance: Any) -> Any:
        """The variances that are looked up."""
        return self.apply(x, variance)

    def matrix_noise(self, x: Any, scale_row: Any, scale_column: Any, seed: Any) -> Any:
        """|A[x]| times a normal with scale B, for each token: the noise of A E Bᵀ."""
        return ops.cast(matrix_noise(self.apply(x, scale_row), scale_column, seed), self._dtype)
