"""SWAG: its moments, its normal, and its trajectory."""

import keras
import numpy as np
import pytest
from scipy import stats

import keras_priors as kp
from keras_priors.inference._swag_moments import SWAGMoments
from tests.inference._lines import SIGMA, exact, line_data, line_model

LIKELIHOOD = kp.likelihoods.Normal(SIGMA)


def test_moments_are_those_of_the_vectors():
    vectors = np.random.default_rng(0).normal(1e3, 0.1, size=(7, 4))
    moments = SWAGMoments(rank=3)
    for vector in vectors:
        moments.add(vector)
    mean, variance, deviations = moments.normal()
    np.testing.assert_allclose(mean, vectors.mean(0), rtol=1e-6)
    np.testing.assert_allclose(variance, vectors.var(0), rtol=1e-5)
    expected = [vectors[k] - vectors[: k + 1].mean(0) for k in (4, 5, 6)]
    np.testing.assert_allclose(deviations, expected, rtol=1e-5)


@pytest.mark.parametrize("rank", [0, 4])
def test_density_and_draws_are_those_of_the_normal(rank, tmp_path):
    rng = np.random.default_rng(1)
    model = line_model()
    deviations = rng.normal(size=(rank, 3))
    posterior = kp.inference.SWAGPosterior(
        model, LIKELIHOOD, [1.0, 2.0, 3.0], [0.5, 0.2, 0.1], deviations
    )
    covariance = np.diag([0.5, 0.2, 0.1])
    if rank:
        covariance = covariance / 2 + deviations.T @ deviations / (2 * (rank - 1))
    position = {"line/kernel": np.array([[0.3], [2.2], [2.5]])}
    expected = stats.multivariate_normal([1, 2, 3], covariance).logpdf([0.3, 2.2, 2.5])
    assert posterior.log_prob(position) == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(posterior.covariance(), covariance, rtol=1e-5)
    sd = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(posterior.stddev()["line/kernel"][:, 0], sd, rtol=1e-5)
    draws = posterior.draws(4000, seed=0)["line/kernel"][..., 0]
    assert np.all(np.abs(draws.mean(0) - [1, 2, 3]) < 4 * sd / 4000**0.5)
    assert np.all(np.abs(np.cov(draws.T) - covariance) < 4 * np.outer(sd, sd) * (2 / 4000) ** 0.5)
    posterior.save(tmp_path / "swag.posterior")
    loaded = kp.inference.Posterior.load(tmp_path / "swag.posterior")
    np.testing.assert_array_equal(
        loaded.draws(3, seed=5)["line/kernel"], posterior.draws(3, seed=5)["line/kernel"]
    )


def test_bounded_weights_have_the_density_of_the_transformed_normal():
    model = keras.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dense(
                1,
                use_bias=False,
                name="line",
                kernel_initializer="ones",
                kernel_regularizer=kp.ExponentialPrior(1.0),
            ),
        ]
    )
    posterior = kp.inference.SWAGPosterior(model, LIKELIHOOD, [0.3], [0.04], np.zeros((0, 1)))
    assert np.all(posterior.draws(50, seed=0)["line/kernel"] > 0)
    expected = stats.lognorm(0.2, scale=np.exp(0.3)).logpdf(1.5)
    assert posterior.log_prob({"line/kernel": [[1.5]]}) == pytest.approx(expected, rel=1e-4)
    mean, sd = (
        stats.lognorm(0.2, scale=np.exp(0.3)).mean(),
        stats.lognorm(0.2, scale=np.exp(0.3)).std(),
    )
    assert abs(posterior.mean()["line/kernel"][0, 0] - mean) < 4 * sd / 64


def test_fit_follows_sgd_and_averages_to_the_map():
    x, y = line_data()
    model = line_model()
    method = kp.inference.SWAG(
        0.02, 0.0, batch_size=32, burnin_epochs=20, num_snapshots=60, rank=10
    )
    posterior = method.fit(model, x, y, LIKELIHOOD, seed=0, verbose=0)
    mean, covariance = exact(x, y)
    sd = np.sqrt(np.diag(covariance))
    assert posterior.rank == 10
    assert np.all(np.abs(posterior.mean()["line/kernel"][:, 0] - mean) < 0.5 * sd)
    spread = posterior.stddev()["line/kernel"][:, 0] / sd
    # SGD on independent batches has the variance rate / (2 n) = 0.02 / 64 of mean-loss noise h / n:
    # below sd * sqrt(0.02 h N / (2 n)), with h up to 8 here; shuffled epochs have less.
    assert np.all((spread > 0) & (spread < (0.02 * 8 * 256 / 64) ** 0.5))
    again = method.fit(model, x, y, LIKELIHOOD, seed=0, verbose=0)
    np.testing.assert_allclose(again.location, posterior.location, rtol=1e-5)
    assert posterior.predict(x[:5], num_samples=6, seed=0).draws.shape == (6, 5, 1)


def test_whole_batches_are_gradient_descent():
    x, y = line_data()
    model = line_model()
    start = model.get_weights()[0][:, 0].astype("float64")
    method = kp.inference.SWAG(0.05, 0.5, batch_size=256, burnin_epochs=0, num_snapshots=3, rank=2)
    posterior = method.fit(model, x, y, LIKELIHOOD, seed=0, verbose=0)
    mean, covariance = exact(x, y)
    w, v, path = start, np.zeros(3), []
    for _ in range(3):
        v = 0.5 * v - 0.05 * np.linalg.solve(covariance, w - mean) / 256
        w = w + v
        path.append(w)
    np.testing.assert_allclose(posterior.location, np.mean(path, 0), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(posterior.variance, np.var(path, 0), rtol=1e-2, atol=1e-6)


def test_failures_say_what_to_do(monkeypatch):
    x, y = line_data()
    with pytest.raises(ValueError, match="step is too large"):
        kp.inference.SWAG(1e6).fit(line_model(), x, y, LIKELIHOOD, seed=0, verbose=0)
    with pytest.raises(ValueError, match="one deviation"):
        kp.inference.SWAG(rank=1)
    with pytest.raises(ValueError, match="num_snapshots"):
        kp.inference.SWAG(rank=20, num_snapshots=10)
    zero = [0.0] * 3
    still = kp.inference.SWAGPosterior(line_model(), LIKELIHOOD, zero, zero, np.zeros((0, 3)))
    with pytest.raises(ValueError, match="has moved"):
        still.log_prob({"line/kernel": np.zeros((3, 1))})
