"""The variational separable convolution over two axes."""

import keras

from keras_priors.layers.conv_layers import SeparableConvLayer
from keras_priors.utils.export import export


@export("keras_priors")
class VariationalSeparableConv2D(SeparableConvLayer, keras.layers.SeparableConv2D):
    """`keras.layers.SeparableConv2D` with a distribution over its kernels and bias.

        y = activation(pointwise_conv(depthwise_conv(x, D), P) + b),   D ~ q,  P ~ q,  b ~ q

    `training=True` draws the two kernels, `training=False` uses the posterior means, and the
    KL(q‖p) of each in nats joins the loss as in `VariationalDense`. The estimator is applied to
    each of the two convolutions; see `VariationalConv2D` for what each does.

    Args:
        filters: integer, number of output channels.
        kernel_size: integer or tuple of two integers, the window.
        strides: integer or tuple of two integers, the steps of the window. Defaults to 1.
        padding: "valid" or "same". Defaults to "valid".
        data_format: "channels_last", "channels_first" or None, which is
            `keras.config.image_data_format()`. Defaults to None.
        dilation_rate: integer or tuple of two integers, the gaps in the window. Defaults to 1.
        depth_multiplier: integer, channels between the two convolutions for each input channel.
            Defaults to 1.
        activation: activation function, name or None. Defaults to None.
        use_bias: boolean. Defaults to True.
        depthwise_initializer: initializer of the posterior mean of the depthwise kernel. Defaults
            to "glorot_uniform".
        pointwise_initializer: initializer of the posterior mean of the pointwise kernel. Defaults
            to "glorot_uniform".
        bias_initializer: initializer of the posterior mean of the bias. Defaults to "zeros".
        depthwise_regularizer: a prior; the same as `depthwise_prior`. Defaults to None.
        pointwise_regularizer: a prior; the same as `pointwise_prior`. Defaults to None.
        bias_regularizer: a prior; the same as `bias_prior`. Defaults to None.
        activity_regularizer: regularizer of the output. Defaults to None.
        depthwise_constraint: constraint on a point estimate (`depthwise_posterior="delta"`).
            Defaults to None.
        pointwise_constraint: constraint on a point estimate (`pointwise_posterior="delta"`).
            Defaults to None.
        bias_constraint: constraint on a point estimate (`bias_posterior="delta"`). Defaults to
            None.
        depthwise_prior: prior of the depthwise kernel. Defaults to `NormalPrior(0, 1)`.
        pointwise_prior: prior of the pointwise kernel. Defaults to `NormalPrior(0, 1)`.
        bias_prior: prior of the bias. Defaults to `NormalPrior(0, 1)`.
        depthwise_posterior: posterior or name, family of the depthwise kernel. Defaults to
            "mean_field".
        pointwise_posterior: posterior or name, family of the pointwise kernel. Defaults to
            "mean_field".
        bias_posterior: posterior or name, family of the bias. Defaults to "mean_field".
        estimator: "reparameterization", "local_reparameterization" or "flipout". Defaults to
            "reparameterization".
        num_data: integer or None, number of observations whose mean is the loss; see
            `keras_priors.set_num_data`. Defaults to None.
        kl_samples: integer, draws for a KL without closed form. Defaults to 1.
        seed: integer from 0 to 2^31 - 1, or None, seed of the draws. Defaults to None.
        **kwargs: those of `keras.layers.Layer`.

    Input shape:
        `(batch, height, width, channels)`, or
        `(batch, channels, height, width)` where channels come first.

    Output shape:
        `(batch, new_height, new_width, filters)`, with channels where the input has them.

    Raises:
        ValueError: what `SeparableConv2D` refuses, a regularizer that is not a prior, a prior whose
            support the posterior leaves, an estimator that the family does not have.

    Example:
        >>> import keras
        >>> import keras_priors as kp
        >>> layer = kp.VariationalSeparableConv2D(4, 3, num_data=100)
        >>> model = keras.Sequential([keras.Input((8, 8, 3)), layer])
        >>> model.output_shape
        (None, 6, 6, 4)
        >>> tuple(layer.depthwise_posterior.stddev().shape)
        (3, 3, 3, 1)

    References:
        - Blundell et al., 2015, Weight uncertainty in neural networks, arXiv:1505.05424.
        - Kingma, Salimans and Welling, 2015, Variational dropout and the local reparameterization
          trick, arXiv:1506.02557.
        - Wen et al., 2018, Flipout, arXiv:1803.04386.
    """
