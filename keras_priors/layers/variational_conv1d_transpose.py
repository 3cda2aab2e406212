"""The variational transposed convolution over one axis."""

import keras

from keras_priors.layers.conv_layers import ConvTransposeLayer
from keras_priors.utils.export import export


@export("keras_priors")
class VariationalConv1DTranspose(ConvTransposeLayer, keras.layers.Conv1DTranspose):
    """`keras.layers.Conv1DTranspose` with a distribution over its kernel and bias.

        y = activation(conv_transpose(x, W) + b),   W ~ q,  b ~ q

    `training=True` draws the kernel, `training=False` uses the posterior means, and KL(q‖p) in nats
    joins the loss as in `VariationalDense`. A shared draw and flipout use one draw of the kernel at
    all positions (flipout with signs of its own for each example and channel). Local
    reparameterization draws each output by itself, with the exact mean and variance and without the
    correlation between positions.

    Args:
        filters: integer, number of output channels.
        kernel_size: integer or tuple of one integer, the window.
        strides: integer or tuple of one integer, the steps of the window. Defaults to 1.
        padding: "valid" or "same". Defaults to "valid".
        output_padding: integer or tuple of one integer or None, what is added to one side of the
            output. Defaults to None.
        data_format: "channels_last", "channels_first" or None, which is
            `keras.config.image_data_format()`. Defaults to None.
        dilation_rate: integer or tuple of one integer, the gaps in the window. Defaults to 1.
        activation: activation function, name or None. Defaults to None.
        use_bias: boolean. Defaults to True.
        kernel_initializer: initializer of the posterior mean of the kernel. Defaults to
            "glorot_uniform".
        bias_initializer: initializer of the posterior mean of the bias. Defaults to "zeros".
        kernel_regularizer: a prior; the same as `kernel_prior`. Defaults to None.
        bias_regularizer: a prior; the same as `bias_prior`. Defaults to None.
        activity_regularizer: regularizer of the output. Defaults to None.
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
        `(batch, length, channels)`, or
        `(batch, channels, length)` where channels come first.

    Output shape:
        `(batch, new_length, filters)`, with channels where the input has them.

    Raises:
        ValueError: what `Conv1DTranspose` refuses, a regularizer that is not a prior, a prior whose
            support the posterior leaves, an estimator that the family does not have.

    Example:
        >>> import keras
        >>> import keras_priors as kp
        >>> layer = kp.VariationalConv1DTranspose(4, 3, strides=2, num_data=100)
        >>> model = keras.Sequential([keras.Input((8, 3)), layer])
        >>> model.output_shape
        (None, 17, 4)
        >>> tuple(layer.kernel_posterior.stddev().shape)
        (3, 4, 3)

    References:
        - Blundell et al., 2015, Weight uncertainty in neural networks, arXiv:1505.05424.
        - Kingma, Salimans and Welling, 2015, Variational dropout and the local reparameterization
          trick, arXiv:1506.02557.
        - Wen et al., 2018, Flipout, arXiv:1803.04386.
    """
