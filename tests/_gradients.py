"""Value and gradient of a scalar function of one array, on each backend."""

import keras
import numpy as np
from keras import ops


def value_and_gradient(function, x):
    """`function(x)` and its gradient at the array `x`, both as NumPy arrays of x's dtype."""
    value, gradient = _BY_BACKEND[keras.backend.backend()](function, np.asarray(x))
    return ops.convert_to_numpy(value), ops.convert_to_numpy(gradient)


def _tensorflow(function, x):
    import tensorflow as tf

    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = function(x)
    return value, tape.gradient(value, x)


def _jax(function, x):
    import jax

    return jax.value_and_grad(function)(jax.numpy.asarray(x))


def _torch(function, x):
    import torch

    x = torch.tensor(x, requires_grad=True)
    value = function(x)
    (gradient,) = torch.autograd.grad(value, x)
    return value.detach(), gradient


_BY_BACKEND = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}
