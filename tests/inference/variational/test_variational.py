"""Variational inference against posteriors that are known."""

import keras
import numpy as np
import pytest

import keras_priors as kp

N, D, NOISE, SPREAD = 60, 4, 0.5, 1.5
STEPS = 500


def linear_model():
    return keras.Sequential(
        [
            keras.Input((D,)),
            keras.layers.Dense(
                1, use_bias=False, kernel_regularizer=kp.NormalPrior(0, SPREAD), name="line"
            ),
        ]
    )


@pytest.fixture(scope="module")
def regression():
    """x, y, and the exact posterior mean and precision of a conjugate linear regression."""
    random = np.random.default_rng(1)
    mix = np.eye(D) + 0.5 * random.normal(size=(D, D))
    x = (random.normal(size=(N, D)) @ mix).astype("float32")
    y = (x @ random.normal(size=(D, 1)) + NOISE * random.normal(size=(N, 1))).astype("float32")
    precision = (x.T @ x).astype("float64") / NOISE**2 + np.eye(D) / SPREAD**2
    mean = np.linalg.solve(precision, x.T @ y / NOISE**2)[:, 0]
    return x, y, mean, precision


def log_evidence(x, y):
    from scipy import stats

    covariance = NOISE**2 * np.eye(N) + SPREAD**2 * x.astype("float64") @ x.T
    return stats.multivariate_normal(np.zeros(N), covariance).logpdf(y[:, 0])


def fit(method, regression, **more):
    x, y, *_ = regression
    keras.utils.set_random_seed(3)
    likelihood = kp.likelihoods.Normal(NOISE)
    return method.fit(linear_model(), x, y, likelihood, seed=0, verbose=0, **more)


@pytest.fixture(scope="module")
def full(regression):
    return fit(kp.inference.FullRank(STEPS, 0.05, num_samples=4), regression)


@pytest.fixture(scope="module")
def mean_field(regression):
    return fit(kp.inference.MeanField(STEPS, 0.05, num_samples=32), regression)


def covariance_of(posterior):
    return np.asarray(keras.ops.convert_to_numpy(posterior.family.covariance()), "float64")


def test_full_rank_finds_the_exact_posterior(full, regression):
    _, _, mean, precision = regression
    exact = np.linalg.inv(precision)
    found = covariance_of(full)
    assert np.linalg.norm(found - exact) < 0.05 * np.linalg.norm(exact)
    np.testing.assert_allclose(np.diag(found), np.diag(exact), rtol=0.05)
    sd = np.sqrt(np.diag(exact))
    np.testing.assert_array_less(np.abs(full.mean()["line/kernel"][:, 0] - mean), 0.05 * sd)
    np.testing.assert_allclose(full.stddev()["line/kernel"][:, 0], sd, rtol=0.03)


def test_the_elbo_of_the_exact_posterior_is_the_evidence(full, regression):
    x, y, *_ = regression
    assert full.elbo.shape == (STEPS,)
    assert full.elbo[0] < log_evidence(x, y) - 1
    np.testing.assert_allclose(full.elbo[-1], log_evidence(x, y), atol=0.01)


def test_mean_field_finds_its_known_optimum(mean_field, regression):
    x, y, mean, precision = regression
    sd = np.sqrt(1 / np.diag(precision))
    np.testing.assert_array_less(np.abs(mean_field.mean()["line/kernel"][:, 0] - mean), 0.05 * sd)
    np.testing.assert_allclose(mean_field.stddev()["line/kernel"][:, 0] ** 2, sd**2, rtol=0.03)
    # KL(q‖p) at the optimum: (sum log precision_ii - log|precision|) / 2.
    gap = 0.5 * (np.log(np.diag(precision)).sum() - np.linalg.slogdet(precision)[1])
    elbo = mean_field.elbo[-200:]
    error = elbo.std() / np.sqrt(200)
    assert abs(elbo.mean() - (log_evidence(x, y) - gap)) < 4 * error + 0.01


def test_low_rank_lies_between(full, mean_field, regression):
    low = fit(kp.inference.LowRank(1, STEPS, 0.05), regression)
    bounds = [p.elbo[-200:].mean() for p in (mean_field, low, full)]
    assert bounds[0] + 0.05 < bounds[1] < bounds[2] + 0.01


@pytest.mark.closed_form
@pytest.mark.slow
def test_low_rank_of_as_many_columns_as_weights_is_exact(regression):
    whole = fit(kp.inference.LowRank(D, STEPS, 0.05), regression)
    exact = np.linalg.inv(regression[3])
    np.testing.assert_allclose(whole.stddev()["line/kernel"][:, 0] ** 2, np.diag(exact), rtol=0.05)


def test_draws_have_the_moments_and_the_density_is_that_of_scipy(full):
    from scipy import stats

    draws = full.draws(2000, seed=0)["line/kernel"]
    assert draws.shape == (2000, D, 1)
    mean, sd = full.mean()["line/kernel"], full.stddev()["line/kernel"]
    np.testing.assert_array_less(np.abs(draws.mean(0) - mean) / sd, 4 / np.sqrt(2000))
    np.testing.assert_allclose(draws.std(0), sd, rtol=4 / np.sqrt(4000))
    np.testing.assert_array_equal(full.draws(3, seed=0)["line/kernel"], draws[:3])
    expected = stats.multivariate_normal(mean[:, 0], covariance_of(full)).logpdf(draws[0, :, 0])
    np.testing.assert_allclose(full.log_prob({"line/kernel": draws[0]}), expected, rtol=1e-3)


def test_predictions_are_those_of_the_draws(full, regression):
    x = regression[0][:5]
    draws = full.draws(7, seed=2)["line/kernel"]
    expected = x @ draws
    np.testing.assert_allclose(full.predict(x, 7, seed=2).draws, expected, rtol=1e-4, atol=1e-5)


def test_batches_find_the_posterior_too(regression):
    _, _, mean, precision = regression
    found = fit(kp.inference.FullRank(STEPS, 0.05, batch_size=20), regression)
    sd = np.sqrt(np.diag(np.linalg.inv(precision)))
    np.testing.assert_array_less(np.abs(found.mean()["line/kernel"][:, 0] - mean), 0.2 * sd)
    np.testing.assert_allclose(found.stddev()["line/kernel"][:, 0], sd, rtol=0.1)


def test_a_bounded_weight_is_inferred_without_bounds():
    from scipy import stats

    prior = kp.GammaPrior(2.0, 1.0)
    x, y = np.ones((3, 1), "float32"), np.full((3, 1), 0.7, "float32")
    model = keras.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dense(
                1,
                use_bias=False,
                kernel_regularizer=prior,
                kernel_initializer=keras.initializers.Constant(1.0),
                name="line",
            ),
        ]
    )
    posterior = kp.inference.FullRank(250, 0.1, num_samples=64).fit(
        model, x, y, kp.likelihoods.Normal(1.0), seed=0, verbose=0
    )

    # The best normal over z = log w, by brute force: ELBO by quadrature over a grid.
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    weights = weights / weights.sum()

    def minus_elbo(theta):
        z = theta[0] + np.exp(theta[1]) * nodes
        w = np.exp(z)
        log_joint = np.log(w) - w - 1.5 * (w - 0.7) ** 2 + z
        return -(weights @ log_joint + theta[1])

    from scipy import optimize

    loc, log_scale = optimize.minimize(minus_elbo, [0.0, -1.0]).x
    sd = np.exp(log_scale)
    parameters = posterior.parameters
    np.testing.assert_allclose(parameters["loc"][0], loc, atol=0.05 * sd)
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(posterior.family.stddev())[0], sd, rtol=0.03
    )
    at = parameters["loc"][0], keras.ops.convert_to_numpy(posterior.family.stddev())[0]
    mean = np.exp(at[0] + at[1] ** 2 / 2)
    np.testing.assert_allclose(posterior.mean()["line/kernel"].item(), mean, rtol=1e-4)
    np.testing.assert_allclose(
        posterior.stddev()["line/kernel"].item(), mean * np.sqrt(np.expm1(at[1] ** 2)), rtol=1e-3
    )
    assert np.all(posterior.draws(100, seed=0)["line/kernel"] > 0)
    for w in (0.1, 0.7, 3.0):
        expected = stats.lognorm(s=at[1], scale=np.exp(at[0])).logpdf(w)
        found = posterior.log_prob({"line/kernel": [[w]]})
        np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_logistic_regression_has_its_mean_beyond_the_map():
    keras.utils.set_random_seed(3)
    random = np.random.default_rng(0)
    x = random.normal(size=(12, 1)).astype("float32")
    y = (x + 0.1 * random.normal(size=x.shape) > 0).astype("float32")
    model = keras.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dense(
                1, use_bias=False, kernel_regularizer=kp.NormalPrior(0, 3), name="line"
            ),
        ]
    )
    likelihood = kp.likelihoods.Bernoulli(from_logits=True)
    best = kp.inference.MAP().fit(model, x, y, likelihood, seed=0).mean()["line/kernel"].item()
    posterior = kp.inference.MeanField(STEPS, 0.1, num_samples=64).fit(
        model, x, y, likelihood, seed=0, verbose=0
    )
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    weights = weights / weights.sum()
    sign = (2 * y - 1)[:, 0] * x[:, 0]

    def log_joint(w):
        return -np.logaddexp(0, -np.outer(w, sign)).sum(1) - w**2 / 18

    def minus_elbo(theta):
        return -(weights @ log_joint(theta[0] + np.exp(theta[1]) * nodes) + theta[1])

    from scipy import optimize

    loc, log_scale = optimize.minimize(minus_elbo, [best, 0.0]).x
    sd = np.exp(log_scale)
    np.testing.assert_allclose(posterior.mean()["line/kernel"].item(), loc, atol=0.05 * sd)
    np.testing.assert_allclose(posterior.stddev()["line/kernel"].item(), sd, rtol=0.03)
    grid = np.linspace(-5, 20, 5001)
    density = np.exp(log_joint(grid))
    exact = (grid * density).sum() / density.sum()
    assert best + 0.2 * sd < exact
    assert abs(posterior.mean()["line/kernel"].item() - exact) < 0.2 * sd


def test_logistic_regression_has_the_mean_of_its_importance_weights():
    from scipy import stats

    keras.utils.set_random_seed(3)
    random = np.random.default_rng(4)
    x = random.normal(size=(40, 2)).astype("float32")
    y = (random.uniform(size=(40, 1)) < 1 / (1 + np.exp(-x @ [[1.5], [-1.0]]))).astype("float32")
    model = keras.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dense(
                1, use_bias=False, kernel_regularizer=kp.NormalPrior(0, 2), name="line"
            ),
        ]
    )
    likelihood = kp.likelihoods.Bernoulli(from_logits=True)
    posterior = kp.inference.FullRank(STEPS, 0.1, num_samples=16).fit(
        model, x, y, likelihood, seed=0, verbose=0
    )
    signed = (2 * y - 1) * x

    def log_joint(w):
        return -np.logaddexp(0, -w @ signed.T).sum(1) + stats.norm(0, 2).logpdf(w).sum(1)

    # Self-normalized importance sampling with a wide Student t of SciPy's; then that its draws
    # and its density are of one piece: the same from its own, whose weights must be nearly equal.
    center = posterior.mean()["line/kernel"][:, 0]
    wide = stats.multivariate_t(center, 2 * covariance_of(posterior), df=5, seed=0)
    w = wide.rvs(20000)
    weight = np.exp(log_joint(w) - wide.logpdf(w) - log_joint(center[None]))
    weight /= weight.sum()
    exact = weight @ w
    sd = np.sqrt(weight @ (w - exact) ** 2)
    error = np.sqrt((weight[:, None] ** 2 * (w - exact) ** 2).sum(0))
    assert np.all(error < 0.02 * sd)
    np.testing.assert_array_less(np.abs(center - exact), 0.05 * sd + 4 * error)
    np.testing.assert_allclose(posterior.stddev()["line/kernel"][:, 0], sd, rtol=0.1)
    best = kp.inference.MAP().fit(model, x, y, likelihood).mean()["line/kernel"][:, 0]
    # A skew of the posterior away from 0 puts the mean beyond the mode.
    assert np.all(np.abs(center - exact) < np.abs(best - exact))
    own = posterior.draws(60, seed=1)["line/kernel"][..., 0]
    density = np.array([posterior.log_prob({"line/kernel": z[:, None]}) for z in own])
    ratio = np.exp(log_joint(own) - density)
    assert ratio.sum() ** 2 / (ratio**2).sum() > 0.8 * len(own)


def test_it_goes_to_arviz(full, regression):
    pytest.importorskip("arviz")
    from scipy import stats

    x, y, *_ = regression
    opened = full.to_arviz(50, num_prior_samples=20)
    w = opened.posterior["line.kernel"].values
    assert w.shape == (1, 50, D, 1) and opened.prior["line.kernel"].shape == (1, 20, D, 1)
    # Of the very draws that it holds, also without a seed.
    expected = stats.norm(x @ w[0], NOISE).logpdf(y[None])[..., 0]
    np.testing.assert_allclose(opened.log_likelihood["y"].values[0], expected, atol=1e-3)
    np.testing.assert_array_equal(opened.observed_data["y"].values, y[:, 0])
    table = full.summary(coverage=0.9)
    assert list(table.columns) == ["mean", "sd", "hdi_5%", "hdi_95%"] and len(table) == D
    mean, sd = full.mean()["line/kernel"][:, 0], full.stddev()["line/kernel"][:, 0]
    np.testing.assert_array_less(np.abs(table["mean"] - mean), 4 * sd / np.sqrt(1000))
    np.testing.assert_allclose(table["sd"], sd, rtol=4 / np.sqrt(2000))


def test_an_interrupted_search_gives_what_it_had_found(regression, monkeypatch):
    from keras_priors.inference.variational import variational_inference as _variational

    calls = []

    def interrupt(progress):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(_variational.Progress, "step", interrupt)
    method = kp.inference.MeanField(100)
    with pytest.warns(UserWarning, match="MeanField was interrupted after 6 of 100 steps"):
        posterior = fit(method, regression)
    monkeypatch.undo()
    whole = fit(method, regression)
    np.testing.assert_array_equal(posterior.elbo, whole.elbo[:6])
    more = fit(kp.inference.MeanField(4), regression, resume=posterior)
    assert more.elbo.shape == (10,)

    def at_once(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(_variational._Order, "take", at_once)
    with pytest.raises(KeyboardInterrupt):
        fit(method, regression)


def test_a_convolution_is_inferred():
    """With hardly any spread the ELBO is the log posterior at the weights, less log q there."""
    from scipy import stats

    keras.utils.set_random_seed(0)
    layers = [keras.Input((4, 4, 1)), keras.layers.Conv2D(2, 3), keras.layers.Flatten()]
    model = keras.Sequential([*layers, keras.layers.Dense(1)])
    kp.set_priors(model, kp.NormalPrior(0.0, 1.0))
    random = np.random.default_rng(0)
    x, y = (random.normal(size=shape).astype("float32") for shape in ((6, 4, 4, 1), (6, 1)))
    likelihood = kp.likelihoods.Normal(NOISE)
    method = kp.inference.MeanField(2, 1e-6, batch_size=None, initial_scale=1e-4)
    found = method.fit(model, x, y, likelihood, seed=0, verbose=0).elbo
    size = sum(w.size for w in model.get_weights())
    # -log q of two pairs of draws: a half chi-square of 2 `size` degrees, over 2.
    noise = stats.chi2(2 * size)
    expected = kp.inference.LogPosterior(model, x, y, likelihood)()
    expected += size * (np.log(1e-4) + 0.5 * np.log(2 * np.pi)) + noise.mean() / 4
    assert abs(found[0] - expected) < 4 * noise.std() / 4


def test_the_same_seed_gives_the_same_posterior_and_the_model_stays(regression):
    x, y, *_ = regression
    model = linear_model()
    before = model.get_weights()[0].copy()
    method = kp.inference.MeanField(20)
    likelihood = kp.likelihoods.Normal(NOISE)
    # Of the means the noise is gone: the gradient is linear, and draws come in pairs.
    scales = [
        method.fit(model, x, y, likelihood, seed=s, verbose=0).stddev()["line/kernel"]
        for s in (1, 1, 2)
    ]
    np.testing.assert_array_equal(scales[0], scales[1])
    assert np.any(scales[0] != scales[2])
    np.testing.assert_array_equal(model.get_weights()[0], before)


def test_a_fit_goes_on_from_an_earlier_one(full, regression):
    more = fit(kp.inference.FullRank(20, 1e-4), regression, resume=full)
    assert more.elbo.shape == (STEPS + 20,)
    np.testing.assert_allclose(more.mean()["line/kernel"], full.mean()["line/kernel"], atol=0.01)
    with pytest.raises(ValueError, match="of the same family"):
        fit(kp.inference.MeanField(20), regression, resume=full)
    point = fit(kp.inference.MAP(), regression)
    with pytest.raises(TypeError, match="that this method gave"):
        fit(kp.inference.MeanField(20), regression, resume=point)


def test_it_is_saved_and_read(full, tmp_path):
    full.save(tmp_path / "a.posterior")
    loaded = kp.inference.Posterior.load(tmp_path / "a.posterior")
    assert isinstance(loaded, kp.inference.VariationalPosterior)
    np.testing.assert_array_equal(loaded.elbo, full.elbo)
    np.testing.assert_array_equal(
        loaded.draws(4, seed=5)["line/kernel"], full.draws(4, seed=5)["line/kernel"]
    )


def test_an_elbo_that_is_not_finite_is_an_error(regression):
    x, y, *_ = regression
    bad = np.where(np.arange(N)[:, None] == 3, 1e30, x)
    with pytest.raises(ValueError, match="The ELBO of MeanField must stay finite"):
        kp.inference.MeanField(20).fit(
            linear_model(), bad, y, kp.likelihoods.Normal(NOISE), seed=0, verbose=0
        )
