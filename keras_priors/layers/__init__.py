"""Keras layers whose weights are posteriors."""

from keras_priors.layers.variational_dense import VariationalDense
from keras_priors.layers.variational_layer import VariationalLayer

__all__ = ["VariationalDense", "VariationalLayer"]
