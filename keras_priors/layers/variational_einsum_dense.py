"""The variational einsum layer."""

from collections.abc import Sequence

import keras

from keras_priors.layers.kernel_layer import KernelLayer, LinearMap
from keras_priors.layers.linear_maps import EinsumOp
from keras_priors.layers.weight_axes import WeightAxes
from keras_priors.utils.export import export


@export("keras_priors")
class VariationalEinsumDense(KernelLayer, keras.layers.EinsumDense):
    """`keras.layers.EinsumDense` with a distribution over its kernel and bias.

        y = activation(einsum(equation, x, W) + b),   W ~ q,  b ~ q

    `training=True` draws the weights, `training=False` uses the posterior means, and KL(q‖p) in
    nats joins the loss as in `VariationalDense`. The first axis counts the observations,
    others that the kernel lacks their positions. Flipout has signs of its own for each observation.
    Local reparameterization is an approximation over positions: an output pooled over T of them
    has about 1/T of the right variance.

    Args:
        equation: str, the sum over input and kernel, such as "abc,cd->abd".
        output_shape: integer or tuple, the output's axes after the batch and those under an
            ellipsis; None where the input tells.
        bias_axes: str or None, the letters of the output that the bias spans. Defaults to None: no
            bias.

    Input shape:
        Any that the equation fits.

    Output shape:
        As the equation says.

    Raises:
        NotImplementedError: local reparameterization of a MatrixNormal kernel whose axes are not
            (inputs, outputs).

    Example:
        >>> import keras
        >>> import keras_priors as kp
        >>> layer = kp.VariationalEinsumDense(
        ...     "abc,cde->abde", (7, 2, 4), bias_axes="de", num_data=100)
        >>> model = keras.Sequential([keras.Input((7, 3)), layer])
        >>> model.output_shape
        (None, 7, 2, 4)
        >>> tuple(layer.kernel_posterior.stddev().shape)
        (3, 2, 4)
    """

    def weight_axes(self, weight: str, shape: tuple[int, ...]) -> WeightAxes:
        """The axes that the kernel shares with the input, and with the output."""
        terms, outputs = self.equation.split("->")
        inputs, kernel = terms.split(",")
        return WeightAxes(
            shape,
            inputs=tuple(k for k, letter in enumerate(kernel) if letter in inputs),
            units=tuple(k for k, letter in enumerate(kernel) if letter in outputs),
        )

    def linear_maps(self) -> Sequence[LinearMap]:
        """One einsum."""
        return [(EinsumOp(self.equation), self.kernel_posterior)]
