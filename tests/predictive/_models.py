"""Nets whose posterior is set by hand."""

import keras
import numpy as np

from keras_priors.layers import VariationalDense
from keras_priors.likelihoods import Normal

NOISE = 0.5
LOC = np.array([[1.0], [-2.0]], "float32")
SCALE = np.array([[0.3], [0.1]], "float32")
BIAS_LOC, BIAS_SCALE = 0.5, 0.2


def rho(scale):
    """The inverse of softplus."""
    return np.log(np.expm1(np.asarray(scale, "float64"))).astype("float32")


def set_mean_field(posterior, loc, scale):
    posterior.loc.assign(np.broadcast_to(loc, posterior.shape))
    posterior.rho.assign(np.broadcast_to(rho(scale), posterior.shape))


def linear_model():
    """y = x w + b + noise with known normals for w, b and the noise."""
    layer = VariationalDense(1, num_data=10)
    model = keras.Sequential([keras.Input((2,)), layer])
    set_mean_field(layer.kernel_posterior, LOC, SCALE)
    set_mean_field(layer.bias_posterior, BIAS_LOC, BIAS_SCALE)
    model.compile(loss=Normal(NOISE))
    return model


def net(units=3, width=8, inputs=4, activation="softmax"):
    return keras.Sequential(
        [
            keras.Input((inputs,)),
            VariationalDense(width, activation="tanh", num_data=10),
            VariationalDense(units, activation=activation, num_data=10),
        ]
    )


def rows(count, columns, seed=0):
    return np.random.default_rng(seed).standard_normal((count, columns)).astype("float32")
