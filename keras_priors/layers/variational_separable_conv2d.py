"""The variational separable convolution over two axes."""

import keras

from keras_priors.layers.conv_layers import SeparableConvLayer
from keras_priors.utils.export import export


@export("keras_priors")
class VariationalSeparableConv2D(SeparableConvLayer, keras.layers.SeparableConv2D):
    """`keras.layers.SeparableConv2D` with a distribution over its kernels and bias.

        y = activation(pointwise_conv(depthwise_conv(x, D), P) + b),   D ~ q,  P ~ q,  b ~ q

    Example:
        >>> import keras
        >>> import keras_priors as kp
        >>> layer = kp.VariationalSeparableConv2D(4, 3, num_data=100)
        >>> model = keras.Sequential([keras.Input((8, 8, 3)), layer])
        >>> model.output_shape
        (None, 6, 6, 4)
        >>> tuple(layer.depthwise_posterior.stddev().shape)
        (3, 3, 3, 1)
    """
