"""What a model says before data: moments in closed form."""

import keras
import numpy as np
import pytest
from scipy import stats

import keras_priors as kp

COUNT, NOISE = 800, 0.5
X = np.array([[0.0, 0.0], [1.0, -2.0], [3.0, 1.0]], "float32")
LIKELIHOOD = kp.likelihoods.Normal(NOISE)


def line(kernel, bias):
    layer = keras.layers.Dense(1, kernel_regularizer=kernel, bias_regularizer=bias, name="line")
    return keras.Sequential([keras.Input((2,)), layer])


@pytest.fixture(scope="module")
def model():
    return line(kp.NormalPrior(0.5, 2.0), kp.NormalPrior(-1.0, 0.3))


@pytest.fixture(scope="module")
def predictive(model):
    return kp.prior_predictive(model, X, COUNT, LIKELIHOOD, seed=0, verbose=0)


def test_moments_of_a_linear_model_are_exact(predictive):
    mean = 0.5 * X.sum(1) - 1.0
    variance = 4.0 * np.sum(X.astype("float64") ** 2, axis=1) + 0.09
    found = predictive.draws[..., 0]
    assert found.shape == (COUNT, 3)
    np.testing.assert_array_less(np.abs(found.mean(0) - mean), 4 * np.sqrt(variance / COUNT))
    np.testing.assert_array_less(
        np.abs(found.var(0) / variance - 1), 4 * np.sqrt(2 / COUNT) * np.ones(3)
    )
    for k in range(3):
        assert stats.kstest(found[:, k], stats.norm(mean[k], variance[k] ** 0.5).cdf).pvalue > 1e-4
    np.testing.assert_allclose(predictive.aleatoric[:, 0], NOISE**2, rtol=1e-5)
    total = predictive.total[:, 0]
    np.testing.assert_allclose(total, found.var(0) + NOISE**2, rtol=1e-3)


def test_its_draws_are_those_of_sample_prior(model, predictive):
    draws = kp.sample_prior(model, 4, seed=0)
    expected = X @ draws["line/kernel"] + draws["line/bias"][:, None]
    np.testing.assert_allclose(predictive.draws[:4], expected, rtol=1e-4, atol=1e-5)
    blocks = kp.prior_predictive(model, X, 4, batch_size=2, seed=0, verbose=0)
    np.testing.assert_allclose(blocks.draws, expected, rtol=1e-4, atol=1e-5)


def test_bounded_weights_stay_inside():
    model = line(kp.HalfNormalPrior(1.0), kp.UniformPrior(1.0, 2.0))
    x = np.array([[0.0, 0.0], [1.0, 0.0]], "float32")
    found = kp.prior_predictive(model, x, 400, LIKELIHOOD, seed=1, verbose=0).draws[..., 0]
    assert np.all((found[:, 0] >= 1) & (found[:, 0] <= 2))
    assert np.all(found[:, 1] >= found[:, 0])
    assert abs(found[:, 0].mean() - 1.5) < 4 * np.sqrt(1 / 12 / 400)
    assert stats.kstest(found[:, 1] - found[:, 0], stats.halfnorm().cdf).pvalue > 1e-4


def test_an_unknown_noise_is_drawn_too():
    model = keras.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dense(1, use_bias=False, kernel_regularizer=kp.NormalPrior(0, 1)),
            kp.layers.NoiseScale(kp.ExponentialPrior(2.0)),
        ]
    )
    likelihood = kp.likelihoods.HeteroscedasticNormal()
    found = kp.prior_predictive(model, X[:1], 400, likelihood, seed=2, verbose=0)
    # At x = 0 all of the variance is that of the noise: E[s^2] = 2 / rate^2.
    scale = np.log1p(np.exp(found.draws[:, 0, 1].astype("float64")))
    assert stats.kstest(scale, stats.expon(scale=0.5).cdf).pvalue > 1e-4
    assert found.aleatoric[0, 0] == pytest.approx(np.mean(scale**2), rel=1e-3)


def test_the_prior_of_variational_layers_and_not_their_posterior():
    model = keras.Sequential(
        [
            keras.Input((2,)),
            kp.VariationalDense(1, use_bias=False, kernel_prior=kp.NormalPrior(0.0, 3.0)),
        ]
    )
    found = kp.prior_predictive(model, X[1:2], 400, LIKELIHOOD, seed=3, verbose=0)
    expected = stats.norm(0, 3 * np.sqrt(5))
    assert stats.kstest(found.draws[:, 0, 0], expected.cdf).pvalue > 1e-4


@pytest.mark.parametrize("hyperprior", [None, kp.HalfCauchyPrior(1.0)], ids=["learned", "half"])
def test_a_scale_that_is_learned_is_refused(hyperprior):
    scale = kp.Learnable(2.0, prior=hyperprior)
    layer = kp.VariationalDense(
        1, use_bias=False, kernel_prior=kp.NormalPrior(0.0, scale), name="line"
    )
    model = keras.Sequential([keras.Input((2,)), layer])
    with pytest.raises(ValueError, match=r"learned scale for line/kernel.*fixed one"):
        kp.prior_predictive(model, X)


def test_the_structure_of_several_outputs_is_kept():
    inputs = keras.Input((2,))
    prior = {"kernel_regularizer": kp.NormalPrior(0.0, 1.0), "use_bias": False}
    outputs = {name: keras.layers.Dense(1, name=name, **prior)(inputs) for name in "ab"}
    model = keras.Model(inputs, outputs)
    found = kp.prior_predictive(model, X, 10, {"a": LIKELIHOOD, "b": LIKELIHOOD}, seed=0, verbose=0)
    draws = kp.sample_prior(model, 10, seed=0)
    for name in "ab":
        np.testing.assert_allclose(
            found[name].draws, X @ draws[f"{name}/kernel"], rtol=1e-4, atol=1e-5
        )


def test_what_has_no_prior_is_refused(model):
    flat = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="flat")])
    with pytest.raises(ValueError, match=r"flat/kernel.*set_priors"):
        kp.prior_predictive(flat, X)
    with pytest.raises(ValueError, match=r"must have the shape \(2,\)"):
        kp.prior_predictive(model, X[:, :1])
    with pytest.raises(ValueError, match="num_samples"):
        kp.prior_predictive(model, X, 0)
