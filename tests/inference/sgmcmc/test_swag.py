"""SWAG: its moments, its normal, and its trajectory."""

import keras
import numpy as np
import pytest
from scipy import stats

import keras_priors as kp
from keras_priors.functional.output_likelihoods import Likelihoods
from keras_priors.inference.sgmcmc.check_draws import check_draws
from keras_priors.inference.sgmcmc.stable_rate import largest_curvature, largest_stable
from keras_priors.inference.sgmcmc.step_plan import rows_of
from keras_priors.inference.sgmcmc.swag_moments import SWAGMoments
from tests.inference._lines import COUNT, SIGMA, exact, line_data, line_model

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
        0.02, 0.0, batch_size=32, burnin_epochs=20, num_snapshots=30, epochs_between=1, rank=10
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
    assert posterior.predict(x[:5], num_samples=6, seed=0).draws.shape == (6, 5, 1)


def test_moments_are_those_of_sgd_on_the_same_batches():
    x, y = line_data()
    model = line_model()
    w = model.get_weights()[0][:, 0].astype("float64")
    method = kp.inference.SWAG(
        0.02, 0.5, batch_size=64, burnin_epochs=1, num_snapshots=4, epochs_between=0.5, rank=3
    )
    posterior = method.fit(model, x, y, LIKELIHOOD, seed=3, verbose=0)
    words = [int(word) for word in keras.ops.convert_to_numpy(kp.backend.as_seed(3))]
    order = rows_of(COUNT, 64, 1, words, 0, np.arange(12))["rows"][:, 0]
    v, path = np.zeros(3), []
    for rows in order:
        a, b = x[rows].astype("float64"), y[rows, 0]
        slope = a.T @ (a @ w - b) / SIGMA**2 / 64 + (w - 0.2) / 0.8**2 / COUNT
        v = 0.5 * v - 0.02 * slope
        w = w + v
        path.append(w)
    kept = np.array(path[5::2])  # four steps of burn-in, and every second one
    assert len(kept) == 4
    np.testing.assert_allclose(posterior.location, kept.mean(0), rtol=1e-4)
    np.testing.assert_allclose(posterior.variance, kept.var(0), rtol=1e-3)
    deviations = [kept[k] - kept[: k + 1].mean(0) for k in (1, 2, 3)]
    np.testing.assert_allclose(posterior.deviations, deviations, rtol=1e-3, atol=1e-5)
    covariance = np.diag(kept.var(0)) / 2 + np.transpose(deviations) @ deviations / 4
    np.testing.assert_allclose(posterior.covariance(), covariance, rtol=2e-3, atol=1e-8)


def test_the_spread_is_that_of_constant_sgd_whatever_the_curvature():
    """800 means, half of them seen through a factor: as many one-dimensional posteriors."""
    units, count, size, rate, snapshots, factor = 400, 512, 8, 0.15, 10, 1.5
    steps = count // size
    y = np.random.default_rng(0).normal(size=(count, 2 * units)).astype("float32")
    inputs = keras.Input((1,))
    options = {"use_bias": False, "kernel_regularizer": kp.NormalPrior(0.0, 100.0)}
    one = keras.layers.Dense(units, name="one", **options)(inputs)
    two = keras.layers.Dense(units, name="two", **options)(keras.layers.Rescaling(factor)(inputs))
    model = keras.Model(inputs, keras.layers.Concatenate()([one, two]))
    model.set_weights([y[:, :units].mean(0)[None], y[:, units:].mean(0)[None] / factor])
    method = kp.inference.SWAG(
        rate,
        0.0,
        batch_size=size,
        burnin_epochs=1,
        num_snapshots=snapshots,
        epochs_between=1,
        rank=0,
    )
    posterior = method.fit(
        model, np.ones((count, 1)), y, kp.likelihoods.Normal(1.0), seed=0, verbose=0
    )
    for slope, name, targets in ((1.0, "one", y[:, :units]), (factor, "two", y[:, units:])):
        h = slope**2
        # An error of a step is forgotten as (1 - rate h)^j; those of an epoch add up to nothing.
        weights = rate * slope * (1 - rate * h) ** np.arange(steps)
        scatter = targets.var(0, ddof=1).mean()
        expected = scatter / size * (np.sum(weights**2) - np.sum(weights) ** 2 / steps)
        expected /= 1 - (1 - rate * h) ** (2 * steps)
        found = np.mean(posterior.stddev()[f"{name}/kernel"] ** 2) / (1 - 1 / snapshots)
        assert abs(found / expected - 1) < 4 * (2 / (units * snapshots)) ** 0.5
        # As the docstring has it, for many small steps an epoch. The posterior has 1 / (count h).
        assert abs(found / (rate / (2 * size)) - 1) < 0.25


@pytest.mark.filterwarnings("ignore:A weight without a prior")
def test_draws_have_the_moving_statistics_of_the_model():
    x, y = line_data()
    prior = kp.NormalPrior(0, 1, num_data=COUNT)
    model = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(4, activation="tanh", kernel_regularizer=prior),
            keras.layers.BatchNormalization(momentum=0.5),
            keras.layers.Dense(1, kernel_regularizer=prior),
        ]
    )
    model.compile(keras.optimizers.SGD(0.01), LIKELIHOOD)
    model.fit(x, y, batch_size=64, verbose=0)
    before = [w.copy() for w in model.get_weights()]
    method = kp.inference.SWAG(
        0.01, batch_size=64, burnin_epochs=0, num_snapshots=4, epochs_between=1, rank=2
    )
    posterior = method.fit(model, x, y, seed=0, verbose=0)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    outputs = keras.ops.convert_to_numpy(posterior.predict(x[:4], 1, seed=7).draws)[0]
    draw = posterior.to_model(7)
    for moving in ("moving_mean", "moving_variance"):
        old, new = (
            next(
                keras.ops.convert_to_numpy(w)
                for w in m.weights
                if w.path.rsplit("/", 1)[-1] == moving
            )
            for m in (model, draw)
        )
        np.testing.assert_array_equal(old, new)
        assert np.abs(new - (moving == "moving_variance")).max() > 1e-2
    np.testing.assert_allclose(outputs, draw.predict(x[:4], verbose=0), rtol=1e-4, atol=1e-5)
    assert np.abs(outputs - model.predict(x[:4], verbose=0)).max() > 1e-3


def test_an_interrupted_run_gives_what_there_is(monkeypatch):
    x, y = line_data()
    method = kp.inference.SWAG(
        batch_size=64, burnin_epochs=1, num_snapshots=30, epochs_between=1, rank=20
    )
    for done in (3, 1):
        calls = []

        def interrupt(self, calls=calls, done=done):
            calls.append(1)
            if len(calls) == 1 + done:
                raise KeyboardInterrupt

        monkeypatch.setattr("keras_priors.inference.sgmcmc.swag.Progress.step", interrupt)
        if done == 1:  # one snapshot has no spread
            with pytest.raises(KeyboardInterrupt):
                method.fit(line_model(), x, y, LIKELIHOOD, seed=0, verbose=0)
            continue
        with pytest.warns(UserWarning, match="there are 3 of 30 snapshots"):
            posterior = method.fit(line_model(), x, y, LIKELIHOOD, seed=0, verbose=0)
        assert posterior.rank == 3
        assert np.all(np.isfinite(posterior.draws(2, seed=0)["line/kernel"]))


def test_failures_say_what_to_do(monkeypatch):
    x, y = line_data()
    with (
        pytest.warns(UserWarning, match="learning_rate=1e[+]06"),
        pytest.raises(ValueError, match="step is too large"),
    ):
        kp.inference.SWAG(1e6).fit(line_model(), x, y, LIKELIHOOD, seed=0, verbose=0)
    with pytest.raises(ValueError, match="one deviation"):
        kp.inference.SWAG(rank=1)
    with pytest.raises(ValueError, match="num_snapshots"):
        kp.inference.SWAG(rank=20, num_snapshots=10)
    assert [kp.inference.SWAG(num_snapshots=n).rank for n in (2, 3, 20, 40)] == [2, 3, 20, 20]
    with pytest.raises(ValueError, match="num_snapshots=1"):
        kp.inference.SWAG(num_snapshots=1)
    zero = [0.0] * 3
    still = kp.inference.SWAGPosterior(line_model(), LIKELIHOOD, zero, zero, np.zeros((0, 3)))
    with pytest.raises(ValueError, match="has moved"):
        still.log_prob({"line/kernel": np.zeros((3, 1))})


def stiff():
    """A regression with noise 0.03 at its mode: (model, x, y), curvature 2000 to 4000."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(256, 3)).astype("float32")
    y = (x @ [[1.0], [-0.5], [0.3]] + 0.03 * rng.normal(size=(256, 1))).astype("float32")
    prior = kp.NormalPrior(0, 10)
    model = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(1, use_bias=False, kernel_regularizer=prior, name="line"),
            kp.layers.NoiseScale(initial_scale=0.03),
        ]
    )
    model.layers[0].set_weights([np.linalg.lstsq(x, y, rcond=None)[0]])
    return model, x, y


HETEROSCEDASTIC = kp.likelihoods.HeteroscedasticNormal()


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_the_largest_curvature_is_that_of_the_hessian(momentum):
    model, x, y = stiff()
    log_posterior = kp.inference.LogPosterior(model, x, y, HETEROSCEDASTIC)
    z = log_posterior.positions.unconstrain(log_posterior.positions.current())
    # At the mode of the coefficients nothing ties them to the noise, whose curvature is about 2.
    scale = 1e-6 + np.log1p(np.exp(np.log(np.expm1(0.03 - 1e-6))))
    hessian = x.T.astype("float64") @ x / scale**2 / len(x) + np.eye(3) / 100 / len(x)
    exact_one = np.linalg.eigvalsh(hessian)[-1]
    found = largest_curvature(log_posterior, z, 32)
    assert found == pytest.approx(exact_one, rel=0.03)
    assert largest_stable(found, momentum) == 2 * (1 + momentum) / found


def test_the_default_rate_follows_a_stiff_loss_and_is_a_hundredth_else():
    model, x, y = stiff()
    posterior = kp.inference.SWAG(None, 0.9, 64, 10, 30, 1.0).fit(
        model, x, y, HETEROSCEDASTIC, seed=0
    )
    mean = np.linalg.lstsq(x, y, rcond=None)[0]
    assert np.all(np.abs(posterior.mean()["line/kernel"] - mean) < 0.01)
    assert np.all(np.abs(posterior.draws(50, seed=0)["line/kernel"] - mean) < 0.03)
    noise = posterior.draws(50, seed=0)[posterior.paths[1]]
    assert np.all((noise > 0.02) & (noise < 0.045))
    model, (x, y) = line_model(), line_data()
    options = {"batch_size": 64, "burnin_epochs": 0, "num_snapshots": 3, "rank": 2}
    found, given = (
        kp.inference.SWAG(rate, **options).fit(model, x, y, LIKELIHOOD, seed=0).location
        for rate in (None, 0.01)
    )
    np.testing.assert_array_equal(found, given)


def test_a_rate_that_is_too_large_is_said_before_and_its_draws_are_refused():
    model, x, y = stiff()
    # Stable are 2 * 1.9 / 1300 = 0.003 at most.
    method = kp.inference.SWAG(0.005, 0.9, 64, 2, 5, 1.0, 2)
    with (
        pytest.warns(UserWarning, match=r"at most 0\.00\d+ is stable"),
        pytest.raises(ValueError, match=r"nats a number.*itself has 2\.|left the finite numbers"),
    ):
        method.fit(model, x, y, HETEROSCEDASTIC, seed=0, verbose=0)


def test_draws_that_explain_nothing_are_refused():
    model, x, y = stiff()
    observations = kp.inference.LogPosterior(model, x, y, HETEROSCEDASTIC).observations
    likelihoods = Likelihoods(model, HETEROSCEDASTIC)
    current = kp.inference.LogPosterior(model, x, y, HETEROSCEDASTIC).flatten()
    for sd, refused in ((0.02, False), (0.2, True)):
        variance = np.array([sd**2] * 3 + [1e-8])
        posterior = kp.inference.SWAGPosterior(
            model, HETEROSCEDASTIC, current, variance, np.zeros((0, 4))
        )
        # A log density falls by x'^2 sd^2 / (2 * 0.03^2) on average, with |x|^2 = 3: 0.7, and 67.
        if refused:
            with pytest.raises(ValueError, match=r"log likelihood of -\d+.* nats.*Do that\."):
                check_draws(posterior, likelihoods, observations, "Do that.")
        else:
            check_draws(posterior, likelihoods, observations, "Do that.")
