"""A fit of variational layers that was stopped on its way says so, one at its end does not."""

import warnings

import keras
import numpy as np
import pytest

import keras_priors as kp
from keras_priors.inference.gain_of_epochs import gain_of_epochs
from keras_priors.inference.variational.convergence import is_gain

X = np.random.default_rng(0).normal(size=(64, 3)).astype("float32")
Y = X @ np.array([[1.0], [-2.0], [0.5]], "float32")


def said(*args, **kwargs):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        fitted(*args, **kwargs)
    return [str(one.message) for one in found if issubclass(one.category, UserWarning)]


def fitted(initial_scale, epochs, posterior=None, monitor=None, rate=5e-2):
    keras.utils.set_random_seed(0)
    posterior = posterior or kp.posteriors.MeanFieldNormal(initial_scale)
    layer = kp.VariationalDense(
        1,
        use_bias=False,
        kernel_posterior=posterior,
        kernel_initializer=keras.initializers.Constant([[1.0], [-2.0], [0.5]]),
    )
    model = keras.Sequential([keras.Input((3,)), layer])
    kp.set_num_data(model, X)
    model.compile(keras.optimizers.Adam(rate), kp.likelihoods.Normal(1.0))
    monitor = monitor or kp.callbacks.BayesianMonitor()
    model.fit(X, Y, batch_size=64, epochs=epochs, callbacks=[monitor], verbose=0)
    return layer


def test_scales_on_their_way_are_told():
    with pytest.warns(UserWarning, match=r"whose ELBO would gain .* in 30 epochs more"):
        layer = fitted(1e-3, 30)
    # Posterior standard deviations are some 1 / sqrt(64 + 1).
    spread = keras.ops.convert_to_numpy(layer.kernel_posterior.stddev())
    assert np.all(spread < 0.5 / np.sqrt(65))


def test_a_fit_at_its_optimum_says_nothing():
    assert said(1 / np.sqrt(65), 30, rate=1e-4) == []


def test_points_have_no_spread_to_grow():
    assert said(None, 30, posterior="delta", rate=1e-4) == []


def test_it_can_be_left_out():
    monitor = kp.callbacks.BayesianMonitor(check_convergence=False)
    assert said(1e-3, 30, monitor=monitor) == []


def test_the_gain_is_that_of_the_line():
    line = 5.0 + 2.0 * np.arange(30)
    gain, error = gain_of_epochs(line)
    assert gain == pytest.approx(60.0)  # 2 an epoch, in 30 epochs more
    assert error == pytest.approx(0.0, abs=1e-8)
    noise = np.random.default_rng(0).normal(size=3000).reshape(100, 30)
    found = [is_gain(*gain_of_epochs(100 * row), 1) for row in noise]
    assert np.mean(found) < 0.15  # of no trend at all; above two errors with 8 degrees of freedom


def test_few_epochs_cannot_tell():
    assert gain_of_epochs(np.arange(11.0)) == (0.0, np.inf)
