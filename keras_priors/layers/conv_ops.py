"""The linear maps of the convolutions."""

from abc import abstractmethod
from typing import Any

from keras import ops

from keras_priors.layers.linear_op import LinearOp


class ConvOp(LinearOp):
    """A map of images with channels, as the Keras layer `layer` describes it. Abstract.

    A row is an element of the batch, and a unit a channel: one draw of the noise for all
    positions, but for local reparameterization of independent weights, where each position has
    its own. Its moments at each position are exact; that positions share the kernel is left out,
    as in Kingma, Salimans and Welling (2015).
    """

    def __init__(self, layer: Any) -> None:
        self._layer = layer
        self._channels_first = layer.data_format == "channels_first"

    @abstractmethod
    def apply(self, x: Any, w: Any) -> Any:
        """y for x and w of one dtype."""

    def input_signs_shape(self, x: Any) -> tuple[Any, ...]:
        """One sign for each row and channel of x."""
        return self._rows_and_channels(x)

    def output_signs_shape(self, y: Any) -> tuple[Any, ...]:
        """One sign for each row and channel of y."""
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
