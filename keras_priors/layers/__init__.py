"""Keras layers whose weights are posteriors, and an unknown noise."""

# Written by tools/write_doors.py.

from keras_priors.layers.constructor_arguments import keras_layer_of as keras_layer_of
from keras_priors.layers.cutpoints import Cutpoints
from keras_priors.layers.inside_support import InsideSupport as InsideSupport
from keras_priors.layers.kernel_layer import KernelLayer as KernelLayer
from keras_priors.layers.kl_penalty import KLPenalty as KLPenalty
from keras_priors.layers.noise_scale import NoiseScale
from keras_priors.layers.variational import Variational
from keras_priors.layers.variational_conv1d import VariationalConv1D
from keras_priors.layers.variational_conv1d_transpose import VariationalConv1DTranspose
from keras_priors.layers.variational_conv2d import VariationalConv2D
from keras_priors.layers.variational_conv2d_transpose import VariationalConv2DTranspose
from keras_priors.layers.variational_conv3d import VariationalConv3D
from keras_priors.layers.variational_conv3d_transpose import VariationalConv3DTranspose
from keras_priors.layers.variational_dense import VariationalDense
from keras_priors.layers.variational_depthwise_conv1d import VariationalDepthwiseConv1D
from keras_priors.layers.variational_depthwise_conv2d import VariationalDepthwiseConv2D
from keras_priors.layers.variational_einsum_dense import VariationalEinsumDense
from keras_priors.layers.variational_embedding import VariationalEmbedding
from keras_priors.layers.variational_layer import VariationalLayer
from keras_priors.layers.variational_separable_conv1d import VariationalSeparableConv1D
from keras_priors.layers.variational_separable_conv2d import VariationalSeparableConv2D
from keras_priors.layers.weight_axes import WeightAxes as WeightAxes
from keras_priors.layers.weight_axes import bias_axes as bias_axes
from keras_priors.layers.weight_axes import dense_axes as dense_axes
from keras_priors.layers.weight_draws import WeightDraws as WeightDraws

__all__ = [
    "Cutpoints",
    "NoiseScale",
    "Variational",
    "VariationalConv1D",
    "VariationalConv1DTranspose",
    "VariationalConv2D",
    "VariationalConv2DTranspose",
    "VariationalConv3D",
    "VariationalConv3DTranspose",
    "VariationalDense",
    "VariationalDepthwiseConv1D",
    "VariationalDepthwiseConv2D",
    "VariationalEinsumDense",
    "VariationalEmbedding",
    "VariationalLayer",
    "VariationalSeparableConv1D",
    "VariationalSeparableConv2D",
]
