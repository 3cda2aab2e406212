"""Recurrent layers: dropout is off in inference, and what cannot be vectorized is done quietly."""

import logging

import keras
import numpy as np
import pytest

import keras_priors as kp

X = np.random.default_rng(0).standard_normal((6, 3, 2)).astype("float32")
PRIORS = {f"{name}_regularizer": kp.NormalPrior(0, 1) for name in ("kernel", "bias")}


def spread(layer, **dropout):
    keras.utils.set_random_seed(0)
    recurrent = layer(2, recurrent_regularizer=kp.NormalPrior(0, 1), **PRIORS, **dropout)
    model = keras.Sequential([keras.Input((3, 2)), recurrent, keras.layers.Dense(1, **PRIORS)])
    laplace = kp.inference.Laplace("diagonal", max_iterations=0, tolerance=1e9)
    posterior = laplace.fit(model, X, X[:, 0, :1], kp.likelihoods.Normal(1.0), verbose=0)
    return np.concatenate([value.ravel() for value in posterior.stddev().values()])


# PyTorch alone: Keras draws masks in inference too, which `vmap` refused.
@pytest.mark.skipif(keras.config.backend() != "torch", reason="the masks are made, and not used")
@pytest.mark.parametrize("layer", [keras.layers.LSTM, keras.layers.GRU, keras.layers.SimpleRNN])
@pytest.mark.parametrize("name", ["dropout", "recurrent_dropout"])
def test_dropout_is_off(layer, name):
    without = spread(layer)
    assert np.ptp(without) > 0
    np.testing.assert_allclose(spread(layer, **{name: 0.5}), without, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="the others have no pfor")
def test_what_tensorflow_cannot_vectorize_is_not_logged():
    logged = []
    handler = logging.Handler()
    handler.emit = logged.append
    logger = logging.getLogger("tensorflow")
    level = logger.level
    logger.addHandler(handler)
    try:
        spread(keras.layers.GRU)
    finally:
        logger.removeHandler(handler)
    assert [record.getMessage() for record in logged if "pfor" in record.getMessage()] == []
    assert logger.level == level
