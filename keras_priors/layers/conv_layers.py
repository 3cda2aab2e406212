"""What the twins of convolutions share."""

from collections.abc import Sequence
from typing import Any, ClassVar

from keras_priors.layers.kernel_layer import KernelLayer, LinearMap
from keras_priors.layers.linear_maps import (
    ConvOp,
    ConvTransposeOp,
    DepthwiseConvOp,
    PlainConvOp,
    PointwiseConvOp,
)
from keras_priors.layers.weight_axes import WeightAxes, dense_axes


class ConvLayer(KernelLayer):
    """A convolution with one kernel, as the Keras layer beside it describes it. Abstract."""

    op: ClassVar[type[ConvOp]] = PlainConvOp
    twin_notes: ClassVar[str] = """
    `training=True` draws the kernel, `training=False` uses the posterior means, and KL(q‖p) in nats
    joins the loss as in `VariationalDense`. A shared draw and flipout use one draw of the kernel at
    all positions (flipout with signs of its own for each example and channel). Local
    reparameterization is an approximation over positions: it draws each output by itself, with the
    exact mean and variance and without the correlation between positions, so that an output pooled
    over T of them can have as little as 1/T of the right variance.
    """
    data_format: str

    def build(self, input_shape: Any = None) -> None:
        """Keras' own `build`, with a posterior for each weight."""
        axis = -1 if self.data_format == "channels_last" else 1
        if len(input_shape) > 1 and input_shape[axis] is None:
            raise ValueError(
                f"The channels of the input of {self.name}, its axis {axis}, must be known when "
                f"it is built. Received: input shape {tuple(input_shape)}."
            )
        super().build(input_shape)

    def linear_maps(self) -> Sequence[LinearMap]:
        """One convolution."""
        return [(self.op(self), self.posteriors["kernel"])]


class ConvTransposeLayer(ConvLayer):
    """A transposed convolution. Abstract."""

    op: ClassVar[type[ConvOp]] = ConvTransposeOp

    def weight_axes(self, weight: str, shape: tuple[int, ...]) -> WeightAxes:
        """The other way round than in a convolution."""
        last = len(shape) - 1
        return WeightAxes(shape, inputs=(last,), units=(last - 1,))


class DepthwiseConvLayer(ConvLayer):
    """A convolution of each channel by itself. Abstract."""

    op: ClassVar[type[ConvOp]] = DepthwiseConvOp
    weight_arguments: ClassVar[dict[str, str]] = {"kernel": "depthwise", "bias": "bias"}

    def weight_axes(self, weight: str, shape: tuple[int, ...]) -> WeightAxes:
        """Each channel has units of its own."""
        return _depthwise_axes(shape)


class SeparableConvLayer(ConvLayer):
    """A depthwise and then a pointwise convolution. Abstract."""

    weight_arguments: ClassVar[dict[str, str]] = {
        "depthwise_kernel": "depthwise",
        "pointwise_kernel": "pointwise",
        "bias": "bias",
    }
    twin_notes: ClassVar[str] = """
    `training=True` draws the two kernels, `training=False` uses the posterior means, and the
    KL(q‖p) of each in nats joins the loss as in `VariationalDense`. The estimator is applied to
    each of the two convolutions; see `VariationalConv2D` for what each does.
    """

    def weight_axes(self, weight: str, shape: tuple[int, ...]) -> WeightAxes:
        """Of the depthwise kernel each channel has units of its own."""
        return _depthwise_axes(shape) if weight == "depthwise_kernel" else dense_axes(shape)

    def linear_maps(self) -> Sequence[LinearMap]:
        """The two convolutions."""
        depthwise, pointwise = (self.posteriors[f"{k}_kernel"] for k in ("depthwise", "pointwise"))
        return [(DepthwiseConvOp(self), depthwise), (PointwiseConvOp(self), pointwise)]


def _depthwise_axes(shape: tuple[int, ...]) -> WeightAxes:
    last = len(shape) - 1
    return WeightAxes(shape, inputs=(last - 1,), units=(last - 1, last))
