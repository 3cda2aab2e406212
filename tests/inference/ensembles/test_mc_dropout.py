"""Monte-Carlo dropout: masks by draw, everything else as in inference."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_priors as kp

LIKELIHOOD = kp.likelihoods.Normal(1.0)


def data(rows=6):
    x = np.random.default_rng(0).normal(size=(rows, 8)).astype("float32")
    return x, x[:, :1]


def linear(layer):
    return keras.Sequential(
        [
            keras.Input((8,)),
            layer,
            keras.layers.Dense(
                1, use_bias=False, kernel_regularizer=kp.NormalPrior(0, 1), name="line"
            ),
        ]
    )


def draws_of(posterior, x, **arguments):
    return ops.convert_to_numpy(posterior.predict(x, **arguments).draws)


@pytest.mark.parametrize("kind", ["bernoulli", "gaussian"])
def test_moments_of_a_linear_model_are_known(kind):
    x, y = data()
    layer = keras.layers.Dropout(0.3) if kind == "bernoulli" else keras.layers.GaussianDropout(0.3)
    model = linear(layer)
    posterior = kp.inference.MCDropout().fit(model, x, y, LIKELIHOOD)
    draws = draws_of(posterior, x, num_samples=3000, seed=0)[..., 0]
    w = ops.convert_to_numpy(model.layers[-1].kernel)[:, 0]
    mean = x @ w
    # f = sum_j x_j w_j m_j with E m = 1, Var m = r / (1 - r); one mask for all rows.
    covariance = (x * w) @ (x * w).T * 0.3 / 0.7
    sd = np.sqrt(np.diag(covariance))
    assert np.all(np.abs(draws.mean(0) - mean) < 4 * sd / 3000**0.5)
    error = np.outer(sd, sd) * (2 / 3000) ** 0.5
    assert np.all(np.abs(np.cov(draws.T) - covariance) < 4.5 * error)


def test_draws_are_repeatable_and_do_not_depend_on_chunks(tmp_path):
    x, y = data(20)
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(5, activation="relu", kernel_regularizer=kp.NormalPrior(0, 1)),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(1, kernel_regularizer=kp.NormalPrior(0, 1)),
        ]
    )
    with pytest.warns(UserWarning, match="flat"):
        posterior = kp.inference.MCDropout().fit(model, x, y, LIKELIHOOD)
    one = draws_of(posterior, x, num_samples=5, seed=1)
    np.testing.assert_allclose(
        draws_of(posterior, x, num_samples=5, seed=1, batch_size=3), one, rtol=1e-4, atol=1e-5
    )
    assert np.abs(draws_of(posterior, x, num_samples=5, seed=2) - one).max() > 1e-3
    assert np.abs(one[0] - one[1]).max() > 1e-3
    posterior.save(tmp_path / "d.posterior")
    loaded = kp.inference.Posterior.load(tmp_path / "d.posterior")
    np.testing.assert_allclose(
        draws_of(loaded, x, num_samples=5, seed=1), one, rtol=1e-4, atol=1e-5
    )
    # The weights are those of `fit`, whatever becomes of the model.
    model.layers[0].kernel.assign(np.zeros((8, 5)))
    np.testing.assert_allclose(
        draws_of(posterior, x, num_samples=5, seed=1), one, rtol=1e-4, atol=1e-5
    )


def test_channels_time_and_nested_models():
    inner = keras.Sequential([keras.Input((4, 3)), keras.layers.SpatialDropout1D(0.5)])
    x = keras.Input((4, 3))
    outputs = keras.layers.Dense(1, kernel_regularizer=kp.NormalPrior(0, 1), use_bias=False)(
        keras.layers.Flatten()(inner(x))
    )
    model = keras.Model(x, outputs)
    data = np.ones((2, 4, 3), "float32")
    posterior = kp.inference.MCDropout(rate=0.25).fit(model, data, np.ones((2, 1)), LIKELIHOOD)
    draws = draws_of(posterior, data, num_samples=40, seed=0)[..., 0]
    np.testing.assert_allclose(draws[:, 0], draws[:, 1], rtol=1e-5)
    w = ops.convert_to_numpy(model.layers[-1].kernel).reshape(4, 3).sum(0)
    # A channel is dropped at all times or at none: eight values are possible.
    sums = [m @ w / 0.75 for m in np.array(np.meshgrid(*[[0, 1]] * 3)).reshape(3, 8).T]
    assert np.all(np.abs(draws[:, :1] - np.array(sums)).min(1) < 1e-4)


def test_models_that_cannot_are_refused():
    x, y = data()
    with pytest.raises(ValueError, match="needs a model with Dropout"):
        kp.inference.MCDropout().fit(linear(keras.layers.Activation("relu")), x, y, LIKELIHOOD)
    with pytest.raises(ValueError, match="drop within"):
        kp.inference.MCDropout().fit(linear(keras.layers.AlphaDropout(0.2)), x, y, LIKELIHOOD)
    recurrent = keras.Sequential(
        [keras.Input((3, 2)), keras.layers.LSTM(2, dropout=0.3), keras.layers.Dense(1)]
    )
    with pytest.warns(UserWarning), pytest.raises(ValueError, match="drop within"):
        kp.inference.MCDropout().fit(recurrent, np.ones((2, 3, 2)), np.ones((2, 1)), LIKELIHOOD)
    with pytest.raises(ValueError, match="rate"):
        kp.inference.MCDropout(rate=1.0)
