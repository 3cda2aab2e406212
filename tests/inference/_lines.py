"""Conjugate linear regression: data, a model, and its exact posterior."""

import keras
import numpy as np

import keras_priors as kp

SIGMA, COUNT = 0.5, 256


def line_data(features=3):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(COUNT, features)) @ np.array(
        [[1.0, 0.4, 0.0], [0.0, 1.0, 0.3], [0.0, 0.0, 0.7]]
    )
    y = x @ np.array([[1.0], [-0.5], [0.3]]) + SIGMA * rng.normal(size=(COUNT, 1))
    return x.astype("float32"), y.astype("float32")


def line_model():
    return keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(
                1, use_bias=False, kernel_regularizer=kp.NormalPrior(0.2, 0.8), name="line"
            ),
        ]
    )


def exact(x, y):
    """(mean (3,), covariance (3, 3)) of the posterior of the coefficients."""
    precision = x.T.astype("float64") @ x / SIGMA**2 + np.eye(3) / 0.8**2
    mean = np.linalg.solve(precision, x.T @ y[:, 0] / SIGMA**2 + 0.2 / 0.8**2)
    return mean, np.linalg.inv(precision)
