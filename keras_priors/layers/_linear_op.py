"""What an estimator must know of a linear layer."""

from abc import ABC, abstractmethod
from typing import Any

import keras
from keras import ops

from keras_priors import backend

# Keeps the gradient of the square root finite at rows of zeros; far below any variance.
_TINY = 1e-30


class LinearOp(ABC):
    """A map (x, w) to y that is linear in each, and the noise that w's spread gives y."""

    @abstractmethod
    def __call__(self, x: Any, w: Any) -> Any:
        """y for a weight w, in the dtype of x."""

    @abstractmethod
    def input_signs_shape(self, x: Any) -> tuple[Any, ...]:
        """Shape of signs, one for each row and input unit, that broadcasts against x."""

    @abstractmethod
    def output_signs_shape(self, y: Any) -> tuple[Any, ...]:
        """Shape of signs, one for each row and output unit, that broadcasts against y."""

    def local_noise(self, x: Any, variance: Any, seed: Any, bias_variance: Any = None) -> Any:
        """sqrt(op(x^2, variance) + bias_variance) * noise: what independent weights give y."""
        dtype = keras.backend.standardize_dtype(x.dtype)
        if dtype == "float16":  # squares leave its range
            x = ops.cast(x, "float32")
        total = self(ops.square(x), ops.cast(variance, x.dtype))
        if bias_variance is not None:
            total = total + ops.cast(bias_variance, x.dtype)
        noise_dtype = keras.backend.standardize_dtype(total.dtype)
        noise = backend.standard_normal(tuple(ops.shape(total)), seed, noise_dtype)
        return ops.cast(ops.sqrt(total + _TINY) * noise, dtype)

    def row_noise(self, x: Any, factor: Any, seed: Any) -> Any:
        """op(x, factor) times one normal for each row."""
        y = self(x, ops.cast(factor, x.dtype))
        shape = (*tuple(ops.shape(y))[: len(y.shape) - 1], 1)
        dtype = keras.backend.standardize_dtype(y.dtype)
        return y * backend.standard_normal(shape, seed, dtype)
