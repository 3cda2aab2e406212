"""Priors of unknown scale on plain layers: against formulas, quadrature and SciPy."""

import re
import warnings

import keras
import numpy as np
import pytest
from scipy import optimize, stats

import keras_priors as kp
from keras_priors.functional.scaled_weight import scale_of
from keras_priors.functional.weights import find_weights
from tests._arviz import az
from tests.inference._chains import SHORT_CHAINS
from tests.inference._schools import ETA, LIKELIHOOD, MU, TAU, data, exact, model

SHAPES = {"tensor": (), "input": (3, 1), "unit": (1, 2)}
LOC, COUNT = 0.3, 12
pytestmark = SHORT_CHAINS
TORCH = keras.backend.backend() == "torch"


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    return rng.normal(size=(COUNT, 3)).astype("float32"), rng.normal(size=(COUNT, 2)).astype(
        "float32"
    )


def line(per="tensor", hyperprior=None, **kwargs):
    scale = kp.Learnable(
        2.0, per=per, prior=kp.HalfCauchyPrior(0.7) if hyperprior is None else hyperprior
    )
    layer = keras.layers.Dense(
        2,
        kernel_regularizer=kp.NormalPrior(LOC, scale),
        bias_regularizer=kp.NormalPrior(0, 1),
        name="line",
        **kwargs,
    )
    return keras.Sequential([keras.Input((3,)), layer])


def log_joint(z, per, rows, jacobian):
    """log p of z = (standard kernel, bias, log scales), in float64."""
    x, y = (part.astype("float64") for part in rows)
    eta, b, s = z[:6].reshape(3, 2), z[6:8], np.exp(z[8:]).reshape(SHAPES[per])
    w = LOC + s * eta
    total = stats.norm(x @ w + b, 1).logpdf(y).sum() + stats.norm(0, 1).logpdf(b).sum()
    total += stats.norm(LOC, s).logpdf(w).sum() + stats.halfcauchy(scale=0.7).logpdf(s).sum()
    return total + jacobian * (np.log(s * np.ones((3, 2))).sum() + np.log(s).sum())


@pytest.mark.parametrize("per", SHAPES)
def test_density_and_gradient_are_those_of_the_formula(per, rows):
    log_posterior = kp.inference.LogPosterior(line(per), *rows, kp.likelihoods.Normal(1.0))
    assert log_posterior.shapes["line/kernel/prior_scale"] == SHAPES[per]
    assert log_posterior.paths[-1] == "line/kernel/prior_scale"
    rng = np.random.default_rng(1)
    z = rng.normal(size=log_posterior.size).astype("float32")
    tensor = keras.ops.convert_to_tensor(z)
    for jacobian in (True, False):
        value, slope = log_posterior.log_prob_and_gradient(tensor, log_posterior.data, jacobian)
        wide = z.astype("float64")
        expected = log_joint(wide, per, rows, jacobian)
        assert float(value) == pytest.approx(expected, rel=1e-5)
        alone = float(log_posterior.log_prob(tensor, log_posterior.data, jacobian))
        assert alone == pytest.approx(expected, rel=1e-5)
        slopes = optimize.approx_fprime(wide, log_joint, 1e-6, per, rows, jacobian)
        np.testing.assert_allclose(keras.ops.convert_to_numpy(slope), slopes, rtol=1e-3, atol=1e-3)
    position = log_posterior.unflatten(z)
    assert log_posterior(position) == pytest.approx(log_joint(z, per, rows, False), rel=1e-5)
    np.testing.assert_allclose(log_posterior.flatten(position), z, rtol=1e-4, atol=1e-5)
    slope = log_posterior.value_and_gradient(position)[1]["line/kernel/prior_scale"]
    s, w = position["line/kernel/prior_scale"], position["line/kernel"]
    shared = {"tensor": (0, 1), "input": (1,), "unit": (0,)}[per]
    by_scale = ((w - LOC) ** 2 / s**3 - 1 / s).sum(shared, keepdims=per != "tensor")
    np.testing.assert_allclose(slope, by_scale - 2 * s / (0.49 + s**2), rtol=1e-4)


def test_a_tiny_scale_loses_no_digits(rows):
    log_posterior = kp.inference.LogPosterior(line(), *rows, kp.likelihoods.Normal(1.0))
    z = np.linspace(-1, 1, log_posterior.size).astype("float32")
    z[-1] = -80.0  # w - loc is 0 in float32, and log N(w; loc, s) = -n log s is 480 nats
    value, slope = log_posterior.log_prob_and_gradient(
        keras.ops.convert_to_tensor(z), log_posterior.data
    )
    x, y = rows
    fit = stats.norm(x @ np.full((3, 2), LOC) + z[6:8], 1).logpdf(y).sum()
    expected = fit + stats.norm().logpdf(z[:8]).sum() + np.log(2 / (np.pi * 0.7)) - 80.0
    assert float(value) == pytest.approx(expected, rel=1e-5)
    slope = keras.ops.convert_to_numpy(slope)
    np.testing.assert_allclose(slope[:6], -z[:6], atol=1e-6)
    assert slope[-1] == pytest.approx(1.0)


def test_scales_start_at_what_the_weights_suggest(rows):
    tall = line("unit", kernel_initializer=keras.initializers.Constant(LOC))
    tall.layers[0].kernel.assign([[LOC, 1.3], [LOC, -0.7], [LOC, 1.3]])
    log_posterior = kp.inference.LogPosterior(tall, *rows, kp.likelihoods.Normal(1.0))
    z = log_posterior.flatten()
    np.testing.assert_allclose(np.exp(z[8:]), [2.0, 1.0], rtol=1e-5)  # `initial`, and the rms
    np.testing.assert_allclose(z[:6].reshape(3, 2), [[0, 1], [0, -1], [0, 1]], atol=1e-5)
    tall.layers[0].kernel.assign(np.full((3, 2), LOC + 1e-6))
    np.testing.assert_allclose(np.exp(log_posterior.flatten()[8:]), 2e-3, rtol=1e-5)


@pytest.mark.parametrize("per", SHAPES)
def test_axes_are_those_of_the_variational_twin(per):
    prior = kp.NormalPrior(0, kp.Learnable(per=per, prior=kp.HalfCauchyPrior(1.0)))
    cases = [
        ("Dense", (2,), (3,), "kernel"),
        ("Conv1DTranspose", (2, 3), (8, 4), "kernel"),
        ("DepthwiseConv1D", (3,), (8, 4), "depthwise"),
        ("EinsumDense", ("abc,cde->abde", (None, 2, 3)), (5, 4), "kernel"),
        ("Embedding", (6, 3), (1,), "embeddings"),
    ]
    for name, args, shape, argument in cases:
        plain = getattr(keras.layers, name)(*args, **{f"{argument}_regularizer": prior})
        twin = getattr(kp, f"Variational{name}")(*args, **{f"{argument}_prior": prior})
        twin.build((None, *shape))
        (expected,) = twin.prior_scales.values()
        found = [scale_of(w) for w in find_weights(keras.Sequential([keras.Input(shape), plain]))]
        (scale,) = (each[1] for each in found if each is not None)
        assert scale == tuple(expected.mean().shape), name


def sghmc(num_burnin, num_samples):
    return kp.inference.SGHMC(0.05, 0.9, 8, num_burnin, num_samples, thinning=10, num_chains=2)


@pytest.mark.slow
def test_sghmc_samples_eight_schools():
    posterior = sghmc(500, 1500).fit(model(), *data(), LIKELIHOOD, seed=0, verbose=0)
    found, spread = posterior.mean(), posterior.stddev()
    for path, (mean, sd) in exact().items():
        np.testing.assert_allclose(np.ravel(found[path]), np.ravel(mean), atol=0.15 * np.max(sd))
        np.testing.assert_allclose(np.ravel(spread[path]), np.ravel(sd), rtol=0.15)


def test_draws_of_weights_and_scales_stay_together(tmp_path):
    posterior = sghmc(20, 15).fit(model(), *data(), LIKELIHOOD, seed=0, verbose=0)
    draws = posterior.draws()
    assert list(draws) == [MU, ETA, TAU] and draws[TAU].shape == (30,)
    assert np.all(draws[TAU] > 0)
    plain = posterior.to_model(7)
    np.testing.assert_array_equal(plain.get_layer("schools").kernel, draws[ETA][7])
    posterior.save(tmp_path / "schools.posterior")
    loaded = kp.inference.Posterior.load(tmp_path / "schools.posterior")
    for path, value in loaded.draws().items():
        np.testing.assert_array_equal(value, draws[path])
    x = data()[0]
    np.testing.assert_allclose(
        loaded.predict(x).mean, posterior.predict(x).mean, rtol=1e-5, atol=1e-6
    )
    whole = sghmc(20, 30).fit(model(), *data(), LIKELIHOOD, seed=0, verbose=0)
    on = sghmc(20, 15).fit(loaded.model, *data(), LIKELIHOOD, verbose=0, resume=loaded)
    for path, value in whole._chains(None, 0).items():
        np.testing.assert_allclose(on._chains(None, 0)[path], value, rtol=1e-4, atol=1e-4)
    names = list(posterior.summary().index)
    assert TAU in names and f"{ETA}[7, 0]" in names


@pytest.mark.skipif(TORCH, reason="NUTS needs TFP's kernels")
@pytest.mark.closed_form
@pytest.mark.slow
def test_nuts_samples_eight_schools_without_divergence():
    nuts = kp.inference.NUTS(num_warmup=500, num_samples=1000, target_accept=0.95)
    posterior = nuts.fit(model(), *data(), LIKELIHOOD, seed=0, verbose=0)  # warnings are errors
    assert not posterior.sample_stats["diverging"].any()
    found = az.summary(posterior.to_arviz(), round_to="none")
    for path, (mean, sd) in exact().items():
        rows = found[found.index.str.startswith(path.replace("/", "."))]
        rows = rows[~rows.index.str.contains("prior_scale")] if path == ETA else rows
        assert np.all(np.abs(rows["mean"] - np.ravel(mean)) < 4 * rows["mcse_mean"])
        assert np.all(np.abs(rows["sd"] - np.ravel(sd)) < 4 * rows["mcse_sd"])


@pytest.mark.parametrize(
    "method",
    [
        kp.inference.MeanField(num_steps=2000),
        kp.inference.FullRank(num_steps=2000),
        kp.inference.LowRank(2, num_steps=2000),
    ],
    ids=["mean_field", "full_rank", "low_rank"],
)
@pytest.mark.closed_form
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*ELBO")
def test_variational_normals_are_near_eight_schools(method):
    posterior = method.fit(model(), *data(), LIKELIHOOD, seed=0, verbose=0)
    found, spread = posterior.mean(), posterior.stddev()
    draws = posterior.draws(4000, seed=1)
    for path, (mean, sd) in exact().items():
        np.testing.assert_allclose(np.ravel(found[path]), np.ravel(mean), atol=0.35 * np.max(sd))
        np.testing.assert_allclose(np.ravel(spread[path]), np.ravel(sd), rtol=0.4)
        # Moments by quadrature are those of draws, correlations of weights and scales included.
        error = 4 * spread[path] / np.sqrt(4000)
        assert np.all(np.abs(draws[path].mean(0) - found[path]) < error)
        np.testing.assert_allclose(draws[path].std(0), spread[path], rtol=0.15)


def schools_density(z):
    """-log p of (mu, standard eta, log tau), without constants, and its slope by differences."""
    x, y = (part.astype("float64") for part in data())
    tau = np.exp(z[9])
    f = x[:, 0] * z[0] + x[:, 1:] @ (tau * z[1:9])
    half_cauchy = -np.log1p(tau**2 / 25) + z[9]
    return 0.5 * np.sum((y[:, 0] - f) ** 2) + z[0] ** 2 / 50 + 0.5 * z[1:9] @ z[1:9] - half_cauchy


def moments_of(m, covariance):
    """Means and standard deviations of tau = exp(t) and tau eta for (mu, eta, t) normal."""
    v, c = np.diag(covariance), covariance[1:9, 9]
    grown = np.exp(m[9] + 0.5 * v[9])
    mean = grown * (m[1:9] + c)
    square = np.exp(2 * m[9] + 2 * v[9]) * (v[1:9] + (m[1:9] + 2 * c) ** 2)
    return grown, grown * np.sqrt(np.expm1(v[9])), mean, np.sqrt(square - mean**2)


def check_moments(posterior, m, covariance, tolerance):
    tau, tau_sd, eta, eta_sd = moments_of(m, covariance)
    found, spread = posterior.mean(), posterior.stddev()
    assert found[TAU] == pytest.approx(tau, rel=tolerance)
    assert spread[TAU] == pytest.approx(tau_sd, rel=tolerance)
    error = tolerance * np.max(eta_sd)
    np.testing.assert_allclose(found[ETA][:, 0], eta, atol=error)
    np.testing.assert_allclose(spread[ETA][:, 0], eta_sd, atol=error)


@pytest.mark.parametrize("family", ["full", "low_rank", "mean_field"])
def test_moments_hold_what_weights_and_scales_have_in_common(family):
    rng = np.random.default_rng(0)
    loc, rho = 0.5 * rng.normal(size=10), rng.normal(size=10)
    sd = np.logaddexp(0, rho)
    made = kp.inference.VariationalPosterior
    if family == "mean_field":
        parameters, covariance = {"loc": loc, "rho": rho}, np.diag(sd**2)
        posterior = made(model(), LIKELIHOOD, kp.posteriors.MeanFieldNormal(), parameters)
    elif family == "low_rank":
        factor = 0.4 * rng.normal(size=(2, 10))
        parameters = {"loc": loc, "rho": rho, "factor": factor}
        covariance = np.diag(sd**2) + factor.T @ factor
        posterior = made(model(), LIKELIHOOD, kp.posteriors.LowRankNormal(2), parameters)
    else:
        tril = np.tril(0.3 * rng.normal(size=(10, 10)), -1)
        parameters = {"loc": loc, "scale_tril": tril + np.diag(rho)}
        covariance = (tril + np.diag(sd)) @ (tril + np.diag(sd)).T
        posterior = made(model(), LIKELIHOOD, kp.posteriors.FullNormal(), parameters)
    check_moments(posterior, loc, covariance, 1e-4)


@pytest.mark.parametrize(
    "structure",
    [
        "full",
        pytest.param("low_rank", marks=[pytest.mark.slow, pytest.mark.closed_form]),
        pytest.param("diagonal", marks=[pytest.mark.slow, pytest.mark.closed_form]),
    ],
)
def test_laplace_is_around_the_mode_of_the_unbounded_density(structure, tmp_path):
    x = data()[0].astype("float64")
    start = np.r_[0.0, np.full(8, 0.1), 1.0]
    mode = optimize.minimize(schools_density, start, method="BFGS", options={"gtol": 1e-9}).x
    tau = np.exp(mode[9])
    jacobian = np.c_[x[:, 0], x[:, 1:] * tau, x[:, 1:] @ (tau * mode[1:9])]
    of_scale = 4 * tau**2 / 25 / (1 + tau**2 / 25) ** 2
    precision = jacobian.T @ jacobian + np.diag(np.r_[1 / 25, np.ones(8), of_scale])
    if structure == "diagonal":
        precision = np.diag(np.diag(precision))
    covariance = np.linalg.inv(precision)
    laplace = kp.inference.Laplace(structure)
    # Eight weights that are well known at the scale 27: their common mode tells nothing of it.
    # Not `pytest.warns`, which gives on as errors what TFP says of its own when it is imported.
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        posterior = laplace.fit(model(), *data(), LIKELIHOOD, seed=0, verbose=0)
    says = r"sqrt\(n\) too large.*schools/kernel with the scale 2"
    assert any(re.search(says, str(warning.message)) for warning in told)
    check_moments(posterior, mode, covariance, 1e-2)
    # The density of the weights is that of z over |dw/dz| = tau^8 * tau.
    z = mode + 0.1
    position = {MU: z[:1, None], ETA: np.exp(z[9]) * z[1:9, None], TAU: np.exp(z[9])}
    expected = stats.multivariate_normal(mode, covariance).logpdf(z) - 9 * z[9]
    assert posterior.log_prob(position) == pytest.approx(expected, abs=0.05)
    posterior._observations = None  # with the data at hand, draws that part are said
    posterior.save(tmp_path / "a.posterior")
    draws = posterior.draws(5, seed=0)
    for path, value in kp.inference.Posterior.load(tmp_path / "a.posterior").draws(5, 0).items():
        np.testing.assert_allclose(draws[path], value, rtol=1e-5, atol=1e-5)


def test_map_takes_what_is_bounded():
    hyperprior = kp.InverseGammaPrior(3.0, 20.0)
    posterior = kp.inference.MAP().fit(model(hyperprior), *data(), LIKELIHOOD, verbose=0)

    def density(v):
        x, y = (part.astype("float64") for part in data())
        f = x[:, 0] * v[0] + x[:, 1:] @ v[1:9]
        log = stats.norm(f, 1).logpdf(y[:, 0]).sum() + stats.norm(0, 5).logpdf(v[0])
        log += stats.norm(0, np.exp(v[9])).logpdf(v[1:9]).sum()
        return -(log + stats.invgamma(3, scale=20).logpdf(np.exp(v[9])))

    best = optimize.minimize(density, np.r_[4.0, np.zeros(8), 0.0], options={"gtol": 1e-7}).x
    found = posterior.mean()
    assert found[TAU] == pytest.approx(np.exp(best[9]), rel=1e-3)
    np.testing.assert_allclose(found[ETA][:, 0], best[1:9], atol=1e-2)
    assert found[MU].item() == pytest.approx(best[0], abs=2e-2)


@pytest.mark.parametrize(
    ("hyperprior", "bounded"),
    [
        (kp.HalfCauchyPrior(5.0), False),
        (kp.HalfNormalPrior(5.0), False),
        (kp.GammaPrior(2.0, 1.0), False),
        (kp.GammaPrior(9.5, 1.0), True),
        (kp.LogNormalPrior(0.0, 1.0), True),
        (kp.InverseGammaPrior(1.0, 1.0), True),
    ],
    ids=["half_cauchy", "half_normal", "gamma", "gamma_of_many", "log_normal", "inverse_gamma"],
)
def test_map_refuses_a_density_without_bound(hyperprior, bounded):
    method = kp.inference.MAP(max_iterations=0)
    if bounded:
        assert method.fit(model(hyperprior), *data(), LIKELIHOOD).mean()[TAU] > 0
        return
    with pytest.raises(ValueError, match=r"grows without bound.*n = 8 weights.*InverseGamma"):
        method.fit(model(hyperprior), *data(), LIKELIHOOD)


@pytest.mark.parametrize(
    ("method", "says"),
    [
        (kp.inference.Laplace(), r'Laplace\("full"\), Laplace\("low_rank"\).*schools/kernel'),
        (kp.inference.DeepEnsemble(2, epochs=1), r"no place for the scale.*schools/kernel.*NUTS"),
        (kp.inference.SWAG(), r"no place for the scale.*schools/kernel.*NUTS"),
        (kp.inference.RandomizedMAP(2), r"of known scale.*schools/kernel.*NUTS"),
    ],
    ids=["kronecker", "ensemble", "swag", "randomized"],
)
def test_methods_that_cannot_say_who_can(method, says):
    with pytest.raises(ValueError, match=says):
        method.fit(model(), *data(), LIKELIHOOD, verbose=0)


@pytest.mark.filterwarnings("ignore:A weight without a prior")
def test_laplace_of_the_last_layer_refuses_it(rows):
    with pytest.raises(ValueError, match=r"layers='last' and line/kernel"):
        kp.inference.Laplace("full", layers="last").fit(line(), *rows, kp.likelihoods.Normal(1.0))


def test_plain_fit_names_all_that_work(rows):
    plain = line()
    plain.compile("sgd", loss=kp.likelihoods.Normal(1.0))
    kp.set_num_data(plain, COUNT)
    with pytest.raises(ValueError, match=r"NUTS, HMC, SGLD.*Laplace.*to_variational"):
        plain.fit(*rows, verbose=0)


def test_a_scale_without_a_prior_is_refused(rows):
    plain = line()
    kp.set_priors(plain, {"kernel": kp.NormalPrior(0, kp.Learnable())})
    with pytest.raises(ValueError, match=r"needs a prior.*line/kernel.*HalfCauchyPrior.*tune"):
        kp.inference.LogPosterior(plain, *rows, kp.likelihoods.Normal(1.0))


def test_priors_are_set_shown_and_drawn():
    plain = line()
    prior = kp.NormalPrior(1.0, scale=kp.LogNormalPrior(0.0, 0.5))
    kp.set_priors(plain, {"kernel": prior})
    assert kp.get_priors(plain)["line/kernel"].scale.prior.get_config()["scale"] == 0.5
    again = keras.models.clone_model(plain)
    assert kp.get_priors(again)["line/kernel"].scale.per == "tensor"
    row = kp.summary(plain, print_fn=lambda line: None)[0]
    assert "LogNormalPrior" in row["prior"] and row["log_prior"] is None
    draws = kp.sample_prior(plain, 2000, seed=0)
    assert list(draws) == ["line/kernel", "line/bias", "line/kernel/prior_scale"]
    s = draws["line/kernel/prior_scale"]
    assert stats.kstest(s, stats.lognorm(0.5).cdf).pvalue > 1e-3
    z = (draws["line/kernel"] - 1.0) / s[:, None, None]
    assert stats.kstest(z.ravel(), "norm").pvalue > 1e-3
    assert kp.prior_predictive(plain, np.ones((2, 3)), 5, seed=0).draws.shape == (5, 2, 2)


def test_chains_start_at_draws_of_the_prior():
    sgld = kp.inference.SGLD(
        1e-3, batch_size=8, num_burnin=1, num_samples=1, num_chains=4, start="prior"
    )
    draws = sgld.fit(model(), *data(), LIKELIHOOD, seed=0, verbose=0)._stored[2]
    assert np.ptp(np.log(draws)) > 0.5 and np.all(draws > 0)
