"""The variational convolution over one axis."""

import keras

from keras_priors.layers.conv_layers import ConvLayer
from keras_priors.utils.export import export


@export("keras_priors")
class VariationalConv1D(ConvLayer, keras.layers.Conv1D):
    """`keras.layers.Conv1D` with a distribution over its kernel and bias.

        y = activation(conv(x, W) + b),   W ~ q,  b ~ q

    Args:
        padding: "valid", "same" or "causal".

    Example:
        >>> import keras
        >>> import keras_priors as kp
        >>> layer = kp.VariationalConv1D(4, 3, num_data=100)
        >>> model = keras.Sequential([keras.Input((8, 3)), layer])
        >>> model.output_shape
        (None, 6, 4)
        >>> tuple(layer.kernel_posterior.stddev().shape)
        (3, 3, 4)
    """
