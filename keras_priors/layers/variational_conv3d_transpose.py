"""The variational transposed convolution over three axes."""

import keras

from keras_priors.layers.conv_layers import ConvTransposeLayer
from keras_priors.utils.export import export


@export("keras_priors")
class VariationalConv3DTranspose(ConvTransposeLayer, keras.layers.Conv3DTranspose):
    """`keras.layers.Conv3DTranspose` with a distribution over its kernel and bias.

        y = activation(conv_transpose(x, W) + b),   W ~ q,  b ~ q

    Example:
        >>> import keras
        >>> import keras_priors as kp
        >>> layer = kp.VariationalConv3DTranspose(4, 3, strides=2, num_data=100)
        >>> model = keras.Sequential([keras.Input((4, 4, 4, 1)), layer])
        >>> model.output_shape
        (None, 9, 9, 9, 4)
        >>> tuple(layer.kernel_posterior.stddev().shape)
        (3, 3, 3, 4, 1)
    """
