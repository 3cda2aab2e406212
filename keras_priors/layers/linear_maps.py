"""The linear maps of the layers: what an estimator must know of each."""

import string
from abc import ABC, abstractmethod
from typing import Any

import keras
from keras import ops

from keras_priors import backend

# Keeps the gradient of the square root finite at rows of zeros; far below any variance.
_TINY = 1e-30


class LinearOp(ABC):
    """A map (x, w) to y that is linear in w, and the noise that w's spread gives y.

    An observation is an element of the first axis of x. What other axes of x than that of the
    units number are its positions; all of them use the same w. A row is an observation at one
    position: what has noise of its own under local reparameterization, which leaves out that
    positions share w. Flipout has one pair of signs for an observation, and so a true draw of w.
    """

    def __call__(self, x: Any, w: Any) -> Any:
        """y for a weight w, in the dtype of x."""
        return self.apply(x, ops.cast(w, x.dtype))

    @abstractmethod
    def apply(self, x: Any, w: Any) -> Any:
        """y for x and w of one dtype."""

    def input_signs_shape(self, x: Any) -> tuple[Any, ...]:
        """Shape of signs, one for each observation and input unit, that broadcasts against x."""
        return _first_and_last(x)

    def output_signs_shape(self, y: Any) -> tuple[Any, ...]:
        """Shape of signs, one for each observation and output unit, that broadcasts against y."""
        return _first_and_last(y)

    def row_shape(self, y: Any) -> tuple[Any, ...]:
        """Shape of one number for each row, that broadcasts against y."""
        return (*tuple(ops.shape(y))[: len(y.shape) - 1], 1)

    def bias(self, b: Any) -> Any:
        """The bias in a shape that broadcasts against y."""
        return b

    def dtype(self, x: Any) -> str:
        """dtype of y."""
        return str(keras.backend.standardize_dtype(x.dtype))

    def flipped(self, x: Any, w: Any, seed: Any) -> Any:
        """y for a w whose signs are flipped by observation and input unit."""
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


class DenseOp(LinearOp):
    """y = x w, over the last axis of x."""

    def apply(self, x: Any, w: Any) -> Any:
        return ops.matmul(x, w)

    def matrix_noise(self, x: Any, scale_row: Any, scale_column: Any, seed: Any) -> Any:
        """|x A| times a normal with scale B, for each row: the noise of A E Bᵀ."""
        rows = ops.matmul(ops.cast(x, scale_row.dtype), scale_row)
        return ops.cast(_matrix_noise(rows, scale_column, seed), x.dtype)


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
        """One sign for each observation and each element of the axes that x and w share."""
        return self._signs_shape(self._x, x)

    def output_signs_shape(self, y: Any) -> tuple[Any, ...]:
        """One sign for each observation and each element of the axes that y and w share."""
        return self._signs_shape(self._y, y)

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
        noise = _matrix_noise(ops.moveaxis(rows, axis, -1), scale_column, seed)
        return ops.cast(ops.moveaxis(noise, -1, axis), x.dtype)

    def _signs_shape(self, term: str, tensor: Any) -> tuple[Any, ...]:
        # An axis that w lacks numbers positions, which share w; but the first of x, observations.
        labels = _labels(term, len(tensor.shape))
        kept = [label in self._w for label in labels]
        first = "." if self._x.startswith("...") else self._x[0]
        # Where observations are summed before they meet w they have no sign of their own.
        if first in labels and first in self._y:
            kept[labels.index(first)] = True
        pairs = zip(kept, ops.shape(tensor), strict=True)
        return tuple(size if keep else 1 for keep, size in pairs)

    def _summed_axes(self, x: Any) -> tuple[int, ...]:
        # Axes under an ellipsis are kept: Keras takes ellipses only where y has them too.
        labels = enumerate(_labels(self._x, len(x.shape)))
        return tuple(i for i, a in labels if a != "." and a not in self._w and a not in self._y)


class EmbeddingOp(LinearOp):
    """y = w[x]: the row of the table w for each token of x. Each token is a position."""

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

    def flipped(self, x: Any, w: Any, seed: Any) -> Any:
        """y itself: those of the outputs alone flip w, the same way wherever a token stands."""
        return self(x, w)

    def output_variance(self, x: Any, variance: Any) -> Any:
        """The variances that are looked up."""
        return self.apply(x, variance)

    def matrix_noise(self, x: Any, scale_row: Any, scale_column: Any, seed: Any) -> Any:
        """|A[x]| times a normal with scale B, for each token: the noise of A E Bᵀ."""
        return ops.cast(_matrix_noise(self.apply(x, scale_row), scale_column, seed), self._dtype)


class ConvOp(LinearOp):
    """A map of images with channels, as the Keras layer `layer` describes it. Abstract.

    A row is an element of the batch, and a unit a channel: one draw of the noise for all
    positions, but for local reparameterization of independent weights, where each position has
    its own. That is an approximation over positions: moments at each of them are exact, and that
    they share the kernel is left out, as in Kingma, Salimans and Welling (2015).
    """

    def __init__(self, layer: Any) -> None:
        self._layer = layer
        self._channels_first = layer.data_format == "channels_first"

    @abstractmethod
    def apply(self, x: Any, w: Any) -> Any:
        """y for x and w of one dtype."""

    def input_signs_shape(self, x: Any) -> tuple[Any, ...]:
        """One sign for each observation and channel of x."""
        return self._rows_and_channels(x)

    def output_signs_shape(self, y: Any) -> tuple[Any, ...]:
        """One sign for each observation and channel of y."""
        return self._rows_and_channels(y)

    def row_shape(self, y: Any) -> tuple[Any, ...]:
        """One number for each element of the batch."""
        return (ops.shape(y)[0], *[1] * (len(y.shape) - 1))

    def bias(self, b: Any) -> Any:
        """(channels, 1, ..., 1) where channels come first."""
        if not self._channels_first:
            return b
        return ops.reshape(b, (-1, *[1] * len(self._layer.kernel_size)))

    def output_variance(self, x: Any, variance: Any) -> Any:
        """Not below zero, where fast algorithms for convolutions may round to."""
        return ops.relu(super().output_variance(x, variance))

    def _rows_and_channels(self, x: Any) -> tuple[Any, ...]:
        shape = tuple(ops.shape(x))
        ones = [1] * (len(x.shape) - 2)
        if self._channels_first:
            return (shape[0], shape[1], *ones)
        return (shape[0], *ones, shape[-1])


class PlainConvOp(ConvOp):
    """`keras.ops.conv`, with the padding that `Conv1D` calls causal."""

    def apply(self, x: Any, w: Any) -> Any:
        layer, padding = self._layer, self._layer.padding
        if padding == "causal":
            left = (layer.dilation_rate[0] * (layer.kernel_size[0] - 1), 0)
            pads = [(0, 0), (0, 0), left] if self._channels_first else [(0, 0), left, (0, 0)]
            x, padding = ops.pad(x, pads), "valid"
        return ops.conv(
            x,
            w,
            strides=list(layer.strides),
            padding=padding,
            data_format=layer.data_format,
            dilation_rate=layer.dilation_rate,
        )


class ConvTransposeOp(ConvOp):
    """`keras.ops.conv_transpose`."""

    def apply(self, x: Any, w: Any) -> Any:
        layer = self._layer
        return ops.conv_transpose(
            x,
            w,
            strides=list(layer.strides),
            padding=layer.padding,
            output_padding=layer.output_padding,
            data_format=layer.data_format,
            dilation_rate=layer.dilation_rate,
        )


class DepthwiseConvOp(ConvOp):
    """`keras.ops.depthwise_conv`."""

    def apply(self, x: Any, w: Any) -> Any:
        layer = self._layer
        return ops.depthwise_conv(
            x,
            w,
            strides=layer.strides,
            padding=layer.padding,
            data_format=layer.data_format,
            dilation_rate=layer.dilation_rate,
        )


class PointwiseConvOp(ConvOp):
    """The second half of `keras.ops.separable_conv`: channels are mixed at each position."""

    def apply(self, x: Any, w: Any) -> Any:
        return ops.conv(x, w, padding="valid", data_format=self._layer.data_format)


def _matrix_noise(rows: Any, scale_column: Any, seed: Any) -> Any:
    """|r| B e for each vector r = x A of `rows`, e ~ N(0, I): what A E Bᵀ adds to x w."""
    variance = ops.sum(ops.square(rows), axis=-1, keepdims=True)
    shape = (*tuple(ops.shape(rows))[: len(rows.shape) - 1], scale_column.shape[0])
    noise = backend.standard_normal(shape, seed, keras.backend.standardize_dtype(rows.dtype))
    return ops.sqrt(variance + _TINY) * ops.matmul(noise, ops.transpose(scale_column))


def _first_and_last(tensor: Any) -> tuple[Any, ...]:
    """The sizes of the first and the last axis, with ones between; an only axis as it is."""
    shape = tuple(ops.shape(tensor))
    return shape if len(shape) < 3 else (shape[0], *[1] * (len(shape) - 2), shape[-1])


def _labels(term: str, ndim: int) -> list[str]:
    """The letter of each axis, and a dot for those under the ellipsis."""
    letters = len(term.replace(".", ""))
    return list(term.replace("...", "." * (ndim - letters)))
