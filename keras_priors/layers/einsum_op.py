"""The linear map of an einsum layer."""

import string
from typing import Any

from keras import ops

from keras_priors.layers.linear_op import LinearOp
from keras_priors.layers.matrix_noise import matrix_noise


class EinsumOp(LinearOp):
    """y = einsum(equation, x, w), for the equations that `keras.layers.EinsumDense` takes."""

    def __init__(self, equation: str) -> None:
        self._equation = equation
        inputs, self._y = equation.split("->")
        self._x, self._w = inputs.split(",")

    def __repr__(self) -> str:
        return f"EinsumOp({self._equation!r})"

    def apply(self, x: Any, w: Any) -> Any:
        # In half precision TensorFlow sums other axes than those that an ellipsis says.
        letters = len(self._x.replace(".", ""))
        free = [c for c in string.ascii_letters if c not in self._equation]
        ellipsis = "".join(free[: len(x.shape) - letters])
        return ops.einsum(self._equation.replace("...", ellipsis), x, w)

    def input_signs_shape(self, x: Any) -> tuple[Any, ...]:
        """One sign for each element of x, but one for all that are summed before they meet w."""
        summed = self._summed_axes(x)
        return tuple(1 if i in summed else size for i, size in enumerate(ops.shape(x)))

    def output_signs_shape(self, y: Any) -> tuple[Any, ...]:
        """One sign for each element of y."""
        return tuple(ops.shape(y))

    def row_shape(self, y: Any) -> tuple[Any, ...]:
        """One number for all elements of y that have axes of w alone."""
        labels = _labels(self._y, len(y.shape))
        pairs = zip(labels, ops.shape(y), strict=True)
        return tuple(1 if label in self._w else size for label, size in pairs)

    def output_variance(self, x: Any, variance: Any) -> Any:
        """As of any linear map, once x is summed over the axes that y and w lack."""
        summed = self._summed_axes(x)
        if summed:
            x = ops.sum(x, axis=summed, keepdims=True)
        return super().output_variance(x, variance)

    def matrix_noise(self, x: Any, scale_row: Any, scale_column: Any, seed: Any) -> Any:
        """|x A| times a normal with scale B, for each row, where x w is a product of matrices."""
        if len(self._w) != 2:
            return super().matrix_noise(x, scale_row, scale_column, seed)
        row, column = tuple(self._w)
        product = row in self._x and row not in self._y
        if not product or column in self._x or column not in self._y:
            return super().matrix_noise(x, scale_row, scale_column, seed)
        # x A has the axes of y, with the inputs in place of the outputs.
        rows = self(ops.cast(x, scale_row.dtype), scale_row)
        axis = _labels(self._y, len(rows.shape)).index(column)
        noise = matrix_noise(ops.moveaxis(rows, axis, -1), scale_column, seed)
        return ops.cast(ops.moveaxis(noise, -1, axis), x.dtype)

    def _summed_axes(self, x: Any) -> tuple[int, ...]:
        # Axes under an ellipsis are kept: Keras takes ellipses only where y has them too.
        labels = enumerate(_labels(self._x, len(x.shape)))
        return tuple(i for i, a in labels if a != "." and a not in self._w and a not in self._y)


def _labels(term: str, ndim: int) -> list[str]:
    """The letter of each axis, and a dot for those under the ellipsis."""
    letters = len(term.replace(".", ""))
    return list(term.replace("...", "." * (ndim - letters)))
