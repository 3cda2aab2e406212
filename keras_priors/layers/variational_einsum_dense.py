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
    nats joins the loss as in `VariationalDense`. Axes that input and output share and the kernel
    lacks count the rows, as all but the last do in `VariationalDense`.

    Args:
        equation: str, the sum over input and kernel, such as "abc,cd->abd".
        output_shape: integer or tuple, the output's axes after the batch and those under an
            ellipsis; None where the input tells.
        activation: activation function, name or None. Defaults to None.
        bias_axes: str or None, the letters of the output that the bias spans. Defaults to None: no
            bias.
        kernel_initializer: initializer of the posterior mean of the kernel. Defaults to
            "glorot_uniform".
        bias_initializer: initializer of the posterior mean of the bias. Defaults to "zeros".
        kernel_regularizer: a prior; the same as `kernel_prior`. Defaults to None.
        bias_regularizer: a prior; the same as `bias_prior`. Defaults to None.
        kernel_constraint: constraint on a point estimate (`kernel_posterior="delta"`). Defaults to
            None.
        bias_constraint: constraint on a point estimate (`bias_posterior="delta"`). Defaults to
            None.
        kernel_prior: prior of the kernel. Defaults to `NormalPrior(0, 1)`.
        bias_prior: prior of the bias. Defaults to `NormalPrior(0, 1)`.
        kernel_posterior: posterior or name, family of the kernel. Defaults to "mean_field".
        bias_posterior: posterior or name, family of the bias. Defaults to "mean_field".
        estimator: "reparameterization", "local_reparameterization" or "flipout". Defaults to
            "reparameterization".
        num_data: integer or None, number of observations whose mean is the loss; see
            `keras_priors.set_num_data`. Defaults to None.
        kl_samples: integer, draws for a KL without closed form. Defaults to 1.
        seed: integer from 0 to 2^31 - 1, or None, seed of the draws. Defaults to None.
        **kwargs: those of `keras.layers.Layer`.

    Input shape:
        Any that the equation fits.

    Output shape:
        As the equation says.

    Raises:
        ValueError: what `EinsumDense` refuses, a regularizer that is not a prior, a prior whose
            support the posterior leaves, an estimator that the family does not have.
            NotImplementedError: local reparameterization of a MatrixNormal kernel whose axes are
            not (inputs, outputs).

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

    References:
        - Blundell et al., 2015, Weight uncertainty in neural networks, arXiv:1505.05424.
        - Kingma, Salimans and Welling, 2015, Variational dropout and the local reparameterization
          trick, arXiv:1506.02557.
        - Wen et al., 2018, Flipout, arXiv:1803.04386.
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
