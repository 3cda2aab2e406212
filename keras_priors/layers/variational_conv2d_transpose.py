"""The variational transposed convolution over two axes."""

import keras

from keras_priors.layers.conv_layers import ConvTransposeLayer
from keras_priors.utils.export import export


@export("keras_priors")
class VariationalConv2DTranspose(ConvTransposeLayer, keras.layers.Conv2DTranspose):
    """`keras.layers.Conv2DTranspose` with a distribution over its kernel and bias.

        y = activation(conv_transpose(x, W) + b),   W ~ q,  b ~ q

    Example:
        >>> import keras
        >>> import keras_priors as kp
        >>> layer = kp.VariationalConv2DTranspose(4, 3, strides=2, num_data=100)
        >>> model = keras.Sequential([keras.Input((8, 8, 3)), layer])
        >>> model.output_shape
        (None, 17, 17, 4)
        >>> tuple(layer.kernel_posterior.stddev().shape)
        (3, 3, 4, 3)
    """
