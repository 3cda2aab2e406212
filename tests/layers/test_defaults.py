"""The defaults of VariationalDense fit narrow and wide nets; a bad start collapses to the prior."""

import keras
import numpy as np
import pytest
from sklearn.datasets import load_digits

import keras_priors as kp

# The NLL of a net that says nothing of its ten classes, which is one that equals its prior.
CHANCE = np.log(10.0)


def scores(width, epochs, estimator="reparameterization", initial_scale=None):
    keras.utils.set_random_seed(1)
    x, y = load_digits(return_X_y=True)
    x = (x / 16.0).astype("float32")
    order = np.random.default_rng(0).permutation(len(x))
    train, test = order[360:], order[:360]
    arguments = {"estimator": estimator, "num_data": len(train)}
    if initial_scale is not None:
        arguments["kernel_posterior"] = kp.posteriors.MeanFieldNormal(initial_scale)
    model = keras.Sequential(
        [
            keras.Input((64,)),
            kp.VariationalDense(width, "relu", **arguments),
            kp.VariationalDense(width, "relu", **arguments),
            kp.VariationalDense(10, **arguments),
        ]
    )
    model.compile(keras.optimizers.Adam(1e-3), kp.likelihoods.Categorical())
    model.fit(x[train], y[train], batch_size=128, epochs=epochs, verbose=0)
    predictive = kp.predict(model, x[test], num_samples=20, seed=0, verbose=0)
    accuracy = np.mean(predictive.probabilities.argmax(-1) == y[test])
    return accuracy, -np.mean(predictive.log_prob(y[test]))


def is_slow(width, estimator):
    return width == 2048 or estimator != "reparameterization"


@pytest.mark.parametrize(
    ("width", "epochs", "estimator"),
    [
        pytest.param(*size, estimator, marks=[pytest.mark.slow] * is_slow(size[0], estimator))
        for size in [(50, 40), (400, 20), (2048, 10)]
        for estimator in ("reparameterization", "local_reparameterization", "flipout")
    ],
)
def test_a_fit_from_the_defaults_does_not_collapse(width, epochs, estimator):
    accuracy, nll = scores(width, epochs, estimator)
    assert accuracy > 0.9
    assert nll < 0.2 * CHANCE


def test_the_measure_sees_a_start_that_does():
    """Scales as large as the prior's drown the data in noise."""
    accuracy, nll = scores(50, 20, initial_scale=1.0)
    assert accuracy < 0.5
    assert nll > 0.7 * CHANCE
