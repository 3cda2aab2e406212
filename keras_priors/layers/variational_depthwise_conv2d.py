"""The variational depthwise convolution over two axes."""

import keras

from keras_priors.layers.conv_layers import DepthwiseConvLayer
from keras_priors.utils.export import export


@export("keras_priors")
class VariationalDepthwiseConv2D(DepthwiseConvLayer, keras.layers.DepthwiseConv2D):
    """`keras.layers.DepthwiseConv2D` with a distribution over its kernel and bias.

        y_cm = activation(conv(x_c, W_cm) + b_cm),   W ~ q,  b ~ q

    Example:
        >>> import keras
        >>> import keras_priors as kp
        >>> layer = kp.VariationalDepthwiseConv2D(3, depth_multiplier=2, num_data=100)
        >>> model = keras.Sequential([keras.Input((8, 8, 3)), layer])
        >>> model.output_shape
        (None, 6, 6, 6)
        >>> tuple(layer.depthwise_posterior.stddev().shape)
        (3, 3, 3, 2)
    """
