"""What an estimator must know of a linear layer."""

from abc import ABC, abstractmethod
from typing import Any

import keras
from keras import ops

from keras_priors import backend


class LinearOp(ABC):
    """A map (x, w) to y that is linear in w, and the noise that w's spread gives y.

    A row is what has noise of its own: an element of the batch, and of each other axis that the
    map treats in the same way.
    """

    def __call__(self, x: Any, w: Any) -> Any:
        """y for a weight w, in the dtype of x."""
        return self.apply(x, ops.cast(w, x.dtype))

    @abstractmethod
    def apply(self, x: Any, w: Any) -> Any:
        """y for x and w of one dtype."""

    @abstractmethod
    def input_signs_shape(self, x: Any) -> tuple[Any, ...]:
        """Shape of signs, one for each row and input unit, that broadcasts against x."""

    @abstractmethod
    def output_signs_shape(self, y: Any) -> tuple[Any, ...]:
        """Shape of signs, one for each row and output unit, that broadcasts against y."""

    @abstractmethod
    def row_shape(self, y: Any) -> tuple[Any, ...]:
        """Shape of one number for each row, that broadcasts against y."""

    def bias(self, b: Any) -> Any:
        """The bias in a shape that broadcasts against y."""
        return b

    def dtype(self, x: Any) -> str:
        """dtype of y."""
        return str(keras.backend.standardize_dtype(x.dtype))

    def flipped(self, x: Any, w: Any, seed: Any) -> Any:
        """y for a w whose signs are flipped by row and input unit."""
        return self(x * backend.random_signs(self.input_signs_shape(x), seed, self.dtype(x)), w)

    def output_variance(self, x: Any, variance: Any) -> Any:
        """Variance of each element of y for independent elements of w."""
        if self.dtype(x) == "float16":  # squares leave its range
            x = ops.cast(x, "float32")
        return self(backend.square(x), variance)

    def local_draw(
        self, y: Any, x: Any, variance: Any, seed: Any, bias_variance: Any = None
    ) -> Any:
        """y + sqrt(output_variance + bias_variance) * noise: what independent weights give y."""
        total = self.output_variance(x, variance)
        if bias_variance is not None:
            total = total + ops.cast(self.bias(bias_variance), total.dtype)
        noise_dtype = keras.backend.standardize_dtype(total.dtype)
        noise = backend.standard_normal(tuple(ops.shape(total)), seed, noise_dtype)
        return backend.add_noise(y, total, noise)

    def row_noise(self, x: Any, factor: Any, seed: Any) -> Any:
        """op(x, factor) times one normal for each row."""
        y = self(x, factor)
        dtype = keras.backend.standardize_dtype(y.dtype)
        return y * backend.standard_normal(self.row_shape(y), seed, dtype)

    def matrix_noise(self, x: Any, scale_row: Any, scale_column: Any, seed: Any) -> Any:
        """op(x, A E Bᵀ), E drawn for each row, for a w with an input and an output axis."""
        raise NotImplementedError(
            'estimator="local_reparameterization" with a MatrixNormal posterior needs a kernel '
            "with one input axis and then one output axis, as that of Dense. "
            f'Received: {self!r}. Use estimator="reparameterization".'
        )
