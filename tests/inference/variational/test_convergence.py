"""How long a search for a normal goes on, where it begins, and what is said of its end."""

import warnings

import keras
import numpy as np
import pytest
from keras import ops
from scipy import stats

import keras_priors as kp
from keras_priors.inference.log_posterior import LogPosterior
from keras_priors.inference.variational.convergence import (
    check_convergence,
    expected_gain,
    rises,
)
from keras_priors.inference.variational.normal_family import NormalFamily
from keras_priors.inference.variational.start import start_scales
from keras_priors.inference.variational.variational_inference import _Trace
from keras_priors.posteriors import FullNormal, LowRankNormal, MeanFieldNormal


def line(features, sd=1.5):
    return keras.Sequential(
        [
            keras.Input((features,)),
            keras.layers.Dense(
                1, use_bias=False, kernel_regularizer=kp.NormalPrior(0, sd), name="line"
            ),
        ]
    )


X = np.ones((10, 1), "float32")


def test_the_gain_of_a_line_in_noise_is_that_of_its_slope():
    random = np.random.default_rng(0)
    flat = random.normal(size=3000)
    gain, error = expected_gain(flat)
    # Medians of 50 normals: standard errors of 1.25 / sqrt(50); of a slope over 20 of them.
    expected = 3 * np.sqrt(np.pi / 2 / 50) / np.sqrt(20 / 12)
    assert abs(gain) < 4 * expected and 0.5 * expected < error < 2 * expected
    assert not rises(flat, 1)
    line = flat + 10 * np.arange(3000) / 3000
    line[-300::50] -= 1e6  # draws far out
    gain, error = expected_gain(line)
    assert abs(gain - 10) < 4 * error
    assert rises(line, 1) and not rises(line, 2000)
    assert expected_gain(line[:179]) == (0.0, np.inf)


def test_the_end_is_judged():
    steps = np.arange(600.0)
    with pytest.warns(UserWarning, match="would gain 6 nats .* in 600 steps more"):
        check_convergence("MeanField", steps / 100, 5, 0.01)
    with pytest.raises(ValueError, match="must not end far below its start"):
        check_convergence("MeanField", -steps / 10, 5, 0.01)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_convergence("MeanField", -steps / 100, 5, 0.01)


def test_the_rate_falls_again_from_the_first_one_while_the_elbo_rises():
    """From half of it means crept: a trace that rose by 0.5 nats was 20 below what is there."""
    trace = _Trace("MeanField", None, LogPosterior(line(1), X, X, kp.likelihoods.Normal(1.0)), None)
    rates = []
    while trace.goes_on():
        rates.append(trace.rates())
        # It stands still when it is first looked at, then rises.
        trace.add(np.maximum(np.arange(len(trace), len(trace) + 100) - 1000.0, 0.0))
    rates = np.concatenate(rates)
    assert len(rates) == 32000
    np.testing.assert_array_equal(rates[:1001], 1.0)
    for start in (1000, 2000, 4000, 8000, 16000):
        fall = rates[start : 2 * start]
        expected = 0.5 * (1 + np.cos(np.pi * np.arange(start) / start))
        np.testing.assert_allclose(fall, expected, atol=0.01)


@pytest.mark.parametrize("family", [MeanFieldNormal(0.3), LowRankNormal(3, 0.3), FullNormal(0.3)])
def test_the_density_of_draws_is_that_of_scipy(family):
    size = 6
    found = NormalFamily(family, size, np.arange(6.0))
    random = np.random.default_rng(0)
    for name, variable in zip(found.names, found.variables, strict=True):
        if name != "loc":
            variable.assign(random.normal(size=variable.shape) - (name == "rho"))
    values = [ops.convert_to_tensor(v) for v in found.variables]
    noise = found.noise(ops.convert_to_tensor([1, 2], dtype="uint32"), 4)
    z = ops.convert_to_numpy(found.draws(values, noise)).astype("float64")
    log_q, slope = (ops.convert_to_numpy(v) for v in found.density_of_draws(values, noise))
    arrays = {k: v.astype("float64") for k, v in found.arrays().items()}
    if "scale_tril" in arrays:
        raw = arrays["scale_tril"]
        factor = np.tril(raw, -1) + np.diag(np.logaddexp(0, np.diag(raw)))
        covariance = factor @ factor.T
    else:
        covariance = np.diag(np.logaddexp(0, arrays["rho"]) ** 2)
        if "factor" in arrays:
            covariance += arrays["factor"].T @ arrays["factor"]
    exact = stats.multivariate_normal(arrays["loc"], covariance)
    np.testing.assert_allclose(log_q, exact.logpdf(z), rtol=1e-4)
    by_hand = -np.linalg.solve(covariance, (z - arrays["loc"]).T).T
    np.testing.assert_allclose(slope, by_hand, rtol=2e-3, atol=1e-3)


def test_log_q_keeps_its_digits_where_the_mean_is_large_and_the_spread_small():
    """z - loc has lost them in float32: the density of z itself is off by whole nats."""
    size = 5
    found = NormalFamily(FullNormal(1e-8), size, np.full(size, 3.0))
    values = [ops.convert_to_tensor(v) for v in found.variables]
    noise = found.noise(ops.convert_to_tensor([1, 2], dtype="uint32"), 2)
    log_q = ops.convert_to_numpy(found.density_of_draws(values, noise)[0])
    e = ops.convert_to_numpy(noise)[..., 0].astype("float64")
    expected = stats.norm.logpdf(e).sum(axis=1) - size * np.log(1e-8)
    np.testing.assert_allclose(log_q, expected, rtol=1e-5)


def test_scales_start_at_the_curvature():
    random = np.random.default_rng(1)
    x = (random.normal(size=(60, 3)) * [0.1, 1.0, 10.0]).astype("float32")
    y, weight = random.normal(size=(60, 1)), random.uniform(0.5, 2.0, size=60)
    posterior = LogPosterior(line(3), x, y, kp.likelihoods.Normal(0.5), sample_weight=weight)
    precision = (weight[:, None] * x.astype("float64") ** 2).sum(axis=0) / 0.25 + 1 / 1.5**2
    found = start_scales(posterior, ops.zeros((3,)), 0)
    # A mean of 32 squares, which are chi-square: their standard deviation is sqrt(2 / 32).
    np.testing.assert_allclose(np.log(found**2 * precision), 0.0, atol=4 * np.sqrt(2 / 32))
    for family in (MeanFieldNormal(0.3), LowRankNormal(2, 0.3), FullNormal(0.3)):
        built = NormalFamily(family, 3)
        built.spread(found)
        np.testing.assert_allclose(built.stddev(), found, rtol=1e-3)


@pytest.mark.closed_form
@pytest.mark.slow
def test_without_a_number_of_steps_a_line_is_fitted_to_its_known_optimum():
    random = np.random.default_rng(1)
    x = (random.normal(size=(60, 3)) * [0.1, 1.0, 10.0]).astype("float32")
    y = (x @ [[1.0], [-1.0], [0.5]] + 0.5 * random.normal(size=(60, 1))).astype("float32")
    precision = x.T.astype("float64") @ x / 0.25 + np.eye(3) / 1.5**2
    model, likelihood = line(3), kp.likelihoods.Normal(0.5)
    best = kp.inference.MAP().fit(model, x, y, likelihood)
    model.set_weights(list(best.mean().values()))
    found = kp.inference.MeanField().fit(model, x, y, likelihood, seed=0, verbose=0)
    assert len(found.elbo) == 2000
    sd = 1 / np.sqrt(np.diag(precision))
    np.testing.assert_allclose(found.stddev()["line/kernel"][:, 0], sd, rtol=0.05)
    mean = np.linalg.solve(precision, x.T.astype("float64") @ y / 0.25)[:, 0]
    assert np.all(np.abs(found.mean()["line/kernel"][:, 0] - mean) < 0.05 * sd)


def test_a_search_that_is_cut_off_says_so():
    x, y = np.ones((50, 1), "float32"), np.full((50, 1), 3.0, "float32")
    model = line(1, 10.0)
    model.set_weights([np.zeros((1, 1), "float32")])
    likelihood = kp.likelihoods.Normal(0.1)
    with pytest.warns(UserWarning, match=r"MeanField has found its q where .* Give more `num_st"):
        kp.inference.MeanField(180, 1e-3).fit(model, x, y, likelihood, seed=0, verbose=0)


@pytest.mark.slow
def test_full_rank_of_a_net_has_the_elbo_that_its_trace_says():
    """By hand in float64: where log q lost its digits, the trace of a net once ended at 9e25."""
    hidden, noise, random = 20, 0.05, np.random.default_rng(0)
    x = random.uniform(-1.7, 1.7, size=(100, 1)).astype("float32")
    y = (np.exp(1.6 * x) / 4 - 0.9 + noise * random.normal(size=x.shape)).astype("float32")
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((1,)), keras.layers.Dense(hidden, "tanh"), keras.layers.Dense(1)]
    )
    kp.set_priors(model, kp.NormalPrior(0, 1))
    likelihood = kp.likelihoods.Normal(noise)
    best = kp.inference.MAP().fit(model, x, y, likelihood, verbose=0)
    model.set_weights(list(best.mean().values()))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "FullRank has found its q")
        found = kp.inference.FullRank().fit(model, x, y, likelihood, seed=0, verbose=0)
    raw = found.parameters["scale_tril"].astype("float64")
    factor = np.tril(raw, -1) + np.diag(np.logaddexp(0, np.diag(raw)))
    half = random.normal(size=(2000, len(raw)))
    z = found.parameters["loc"] + np.concatenate([half, -half]) @ factor.T
    first, bias, last = np.split(z[:, :-1], 3, axis=1)
    inner = np.tanh(x[:, 0, None] * first[:, None] + bias[:, None])
    f = np.einsum("snh,sh->sn", inner, last) + z[:, -1:]
    values = stats.norm.logpdf(y[:, 0], f, noise).sum(axis=1) + stats.norm.logpdf(z).sum(axis=1)
    values = values + np.log(np.diag(factor)).sum() + 0.5 * len(raw) * np.log(2 * np.pi * np.e)
    end = found.elbo[-200:]
    error = np.sqrt(values.var() / len(values) + end.var() / len(end))
    assert abs(values.mean() - end.mean()) < 5 * error
    assert end.mean() > np.median(found.elbo[:100])
