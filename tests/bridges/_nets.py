"""Models and data that the tests of bridges share."""

import functools

import keras
import numpy as np

import keras_priors as kp

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(20, 3)).astype("float32")
Y = (X @ [[1.0], [-1.0], [0.5]] + 0.5 * RANDOM.normal(size=(20, 1))).astype("float32")
ROWS = np.array([[-1.5], [0.0], [1.0]], "float32")
NOISE = kp.likelihoods.Normal(0.5)


def line(prior=None, units=1):
    """y = x w."""
    layer = keras.layers.Dense(
        units,
        use_bias=False,
        kernel_regularizer=kp.NormalPrior(0, 1) if prior is None else prior,
        name="line",
    )
    return keras.Sequential([keras.Input((3,)), layer])


def exact():
    """Mean (3,) and covariance (3, 3) of the weights of `line`, given X and Y."""
    x, y = X.astype("float64"), Y.astype("float64")
    covariance = np.linalg.inv(np.eye(3) + x.T @ x / 0.25)
    return (covariance @ x.T @ y / 0.25)[:, 0], covariance


def assert_exact(draws, effective):
    """Draws (S, 3), as good as so many independent ones, are of that posterior."""
    mean, covariance = exact()
    sd = np.sqrt(np.diag(covariance))
    assert np.all(np.abs(draws.mean(axis=0) - mean) < 4 * sd / np.sqrt(effective))
    assert np.all(np.abs(draws.std(axis=0) - sd) < 4 * sd / np.sqrt(2 * effective))


def net(seed=0, units=4):
    """1-4-1, with biases, and N(0, 1) on everything."""
    options = {"kernel_regularizer": kp.NormalPrior(0, 1), "bias_regularizer": kp.NormalPrior(0, 1)}
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dense(units, "tanh", name="hidden", **options),
            keras.layers.Dense(1, name="out", **options),
        ]
    )


def small_problem():
    """(model, x, y, likelihood) of a net that is sampled in seconds."""
    x = np.linspace(-2, 2, 8, dtype="float32")[:, None]
    return net(units=2), x, np.sin(x), kp.likelihoods.Normal(0.5)


@functools.cache
def predictions():
    """E[y] at three rows and the standard deviation of it, by our NUTS."""
    nuts = kp.inference.NUTS(num_chains=4, target_accept=0.95)
    predictive = nuts.fit(*small_problem(), seed=0, verbose=0).predict(ROWS, 2000, verbose=0)
    return predictive.mean, np.sqrt(predictive.epistemic)


def assert_same_predictions(posterior, effective=100):
    """Those of another sampler agree, where it has so many effective draws."""
    mean, sd = predictions()
    number = min(2000, posterior.num_chains * posterior.num_draws)
    found = posterior.predict(ROWS, num_samples=number, verbose=0)
    assert np.all(np.abs(found.mean - mean) < 4 * sd / np.sqrt(effective))
    assert np.all(np.abs(np.sqrt(found.epistemic) / sd - 1) < 4 / np.sqrt(2 * effective))
