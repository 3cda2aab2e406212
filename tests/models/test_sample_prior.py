"""Draws of all weights from their priors: moments and distributions of SciPy."""

import keras
import numpy as np
import pytest
from scipy import stats

import keras_priors as kp

COUNT, FEATURES = 300, 8
# Prior, SciPy's distribution, support.
PRIORS = {
    "normal": (kp.NormalPrior(1.0, 2.0), stats.norm(1, 2)),
    "laplace": (kp.LaplacePrior(-1.0, 0.5), stats.laplace(-1, 0.5)),
    "student": (kp.StudentTPrior(5.0, 0.3, 1.5), stats.t(5, 0.3, 1.5)),
    "gamma": (kp.GammaPrior(2.0, 3.0), stats.gamma(2, scale=1 / 3)),
    "half_normal": (kp.HalfNormalPrior(0.7), stats.halfnorm(scale=0.7)),
    "half_cauchy": (kp.HalfCauchyPrior(2.0), stats.halfcauchy(scale=2)),
    "uniform": (kp.UniformPrior(-1.0, 3.0), stats.uniform(-1, 4)),
    "beta": (kp.BetaPrior(2.0, 5.0), stats.beta(2, 5)),
}


@pytest.fixture(scope="module")
def model():
    """A layer for each prior, side by side."""
    inputs = keras.Input((FEATURES,))
    outputs = [
        keras.layers.Dense(
            1,
            use_bias=False,
            kernel_regularizer=prior,
            kernel_initializer=prior.initializer(seed=0),
            name=name,
        )(inputs)
        for name, (prior, _) in PRIORS.items()
    ]
    return keras.Model(inputs, outputs)


@pytest.fixture(scope="module")
def draws(model):
    return kp.sample_prior(model, COUNT, seed=3)


@pytest.mark.parametrize("name", PRIORS)
def test_draws_have_the_distribution_of_scipy(draws, name):
    expected = PRIORS[name][1]
    found = draws[f"{name}/kernel"]
    assert found.shape == (COUNT, FEATURES, 1) and found.dtype == np.float32
    low, high = expected.support()
    assert np.all((found >= low) & (found <= high))
    values = found.ravel()
    assert stats.kstest(values, expected.cdf).pvalue > 1e-4
    if np.isfinite(expected.var()):
        error = expected.std() / np.sqrt(len(values))
        assert abs(values.mean() - expected.mean()) < 4 * error
    # Elements are drawn independently of each other.
    ranks = stats.spearmanr(found[:, 0, 0], found[:, 1, 0]).statistic
    assert abs(ranks) < 4 / np.sqrt(COUNT)


def test_weights_are_drawn_independently(draws):
    # Also those of one prior, of which the uniforms behind them might be the same.
    columns = np.stack([value[:, 0, 0] for value in draws.values()], axis=1)
    ranks = stats.spearmanr(columns).statistic
    np.testing.assert_array_less(np.abs(ranks - np.eye(len(PRIORS))), 4.5 / np.sqrt(COUNT))


def test_the_seed_decides_and_the_model_stays(model, draws):
    before = [np.array(w) for w in model.get_weights()]
    few = kp.sample_prior(model, 5, seed=3)
    for path, value in few.items():
        np.testing.assert_array_equal(value, draws[path][:5])
    other = kp.sample_prior(model, 5, seed=4)
    assert all(np.any(other[path] != value) for path, value in few.items())
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_of_a_variational_layer_it_is_the_prior_of_its_kl():
    model = keras.Sequential(
        [
            keras.Input((4,)),
            kp.VariationalDense(
                3,
                kernel_prior=kp.NormalPrior(2.0, 0.5),
                bias_prior=kp.LaplacePrior(0.0, 1.0),
                name="dense",
            ),
        ]
    )
    found = kp.sample_prior(model, 200, seed=0)
    assert list(found) == list(kp.get_priors(model))
    kernel = found["dense/kernel"]
    assert stats.kstest(kernel.ravel(), stats.norm(2, 0.5).cdf).pvalue > 1e-4
    assert stats.kstest(found["dense/bias"].ravel(), stats.laplace().cdf).pvalue > 1e-4


def test_flat_priors_cannot_be_drawn_from_and_frozen_weights_are_not():
    model = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(1, kernel_regularizer=kp.NormalPrior(), name="d")]
    )
    with pytest.raises(ValueError, match=r"with d/bias.*set_priors"):
        kp.sample_prior(model, 3)
    outer = keras.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dense(2, name="frozen"),
            keras.layers.Dense(
                1, use_bias=False, kernel_regularizer=kp.NormalPrior(0.0, 1.0), name="d"
            ),
        ]
    )
    outer.layers[0].trainable = False
    assert list(kp.sample_prior(outer, 3)) == ["d/kernel"]
    with pytest.raises(ValueError, match="num_samples"):
        kp.sample_prior(outer, 0)
    with pytest.raises(ValueError, match="is built"):
        kp.sample_prior(keras.Sequential([keras.layers.Dense(1)]))
    with pytest.raises(TypeError, match=r"keras\.Model"):
        kp.sample_prior(keras.layers.Dense(1))
