"""The variational convolution over three axes."""

import keras

from keras_priors.layers.conv_layers import ConvLayer
from keras_priors.utils.export import export


@export("keras_priors")
class VariationalConv3D(ConvLayer, keras.layers.Conv3D):
    """`keras.layers.Conv3D` with a distribution over its kernel and bias.

        y = activation(conv(x, W) + b),   W ~ q,  b ~ q

    Example:
        >>> import keras
        >>> import keras_priors as kp
        >>> layer = kp.VariationalConv3D(4, 3, num_data=100)
        >>> model = keras.Sequential([keras.Input((4, 4, 4, 1)), layer])
        >>> model.output_shape
        (None, 2, 2, 2, 4)
        >>> tuple(layer.kernel_posterior.stddev().shape)
        (3, 3, 3, 1, 4)
    """
