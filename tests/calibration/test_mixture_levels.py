import importlib

import numpy as np
import pytest
from scipy import optimize, stats
from scipy.special import expit

from keras_priors import likelihoods
from keras_priors.calibration.mixture_levels import at_levels, levels
from keras_priors.predictive import Predictive

RNG = np.random.default_rng(0)
F = RNG.standard_normal((3, 4, 2))
BOTH = np.concatenate([F, RNG.standard_normal((3, 4, 2))], axis=-1)
SOFT = np.log1p(np.exp(BOTH[..., 2:]))

# Likelihood, outputs, the distribution of each element at each draw.
CASES = {
    "normal": (likelihoods.Normal([0.3, 0.5]), F, stats.norm(F, [0.3, 0.5])),
    "heteroscedastic": (
        likelihoods.HeteroscedasticNormal(),
        BOTH,
        stats.norm(F, 1e-6 + SOFT),
    ),
    "laplace": (likelihoods.Laplace(0.3), F, stats.laplace(F, 0.3)),
    "laplace with scales": (likelihoods.Laplace(None), BOTH, stats.laplace(F, 1e-6 + SOFT)),
    "student": (likelihoods.StudentT(3.0, 0.3), F, stats.t(3.0, F, 0.3)),
    "student with scales": (likelihoods.StudentT(1.0, None), BOTH, stats.t(1.0, F, 1e-6 + SOFT)),
    "beta": (
        likelihoods.Beta(),
        BOTH,
        stats.beta(1e-6 + SOFT * expit(F), 1e-6 + SOFT * expit(-F)),
    ),
    "gamma": (likelihoods.Gamma(2.0), F, stats.gamma(2.0, scale=np.exp(F) / 2.0)),
    "log-normal with scales": (
        likelihoods.LogNormal(None),
        BOTH,
        stats.lognorm(1e-6 + SOFT, scale=np.exp(F)),
    ),
    "weibull": (likelihoods.Weibull(1.5), F, stats.weibull_min(1.5, scale=np.exp(F))),
    "poisson": (likelihoods.Poisson(), F + 2.0, stats.poisson(np.exp(F + 2.0))),
    "rates": (
        likelihoods.Poisson(from_log_rate=False),
        np.exp(F + 2.0),
        stats.poisson(np.exp(F + 2.0)),
    ),
    "negative binomial": (
        likelihoods.NegativeBinomial(2.0),
        F + 2.0,
        stats.nbinom(2.0, 2.0 / (2.0 + np.exp(F + 2.0))),
    ),
    "negative binomial with dispersions": (
        likelihoods.NegativeBinomial(None),
        BOTH,
        stats.nbinom(1.0 / (1e-6 + SOFT), 1.0 / (1.0 + np.exp(F) * (1e-6 + SOFT))),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_levels_are_those_of_the_mean_distribution_function(name):
    likelihood, outputs, each = CASES[name]
    y = each.ppf(RNG.uniform(0.1, 0.9, F.shape))[1]
    expected = stats.norm.ppf(each.cdf(y).mean(axis=0))
    found = levels(Predictive(outputs, likelihood), y)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_quantiles_invert_the_mean_distribution_function(name):
    likelihood, outputs, each = CASES[name]
    q = np.array([0.001, 0.3, 0.5, 0.9])
    found = at_levels(Predictive(outputs, likelihood), stats.norm.ppf(q)[:, None])
    assert found.shape == (4, 4, 2)
    if not likelihood.is_discrete:
        np.testing.assert_allclose(each.cdf(found[:, None]).mean(axis=1)[..., 0].T[0], q, rtol=1e-4)
        np.testing.assert_allclose(each.cdf(found[:, None]).mean(axis=1)[:, 3, 1], q, rtol=1e-4)
        return
    np.testing.assert_array_equal(found, np.round(found))
    level = q[:, None, None]
    assert np.all(each.cdf(found[:, None]).mean(axis=1) >= level - 1e-6)
    assert np.all(each.cdf(found[:, None] - 1.0).mean(axis=1) < level + 1e-6)


def test_far_tails_keep_their_digits():
    p = Predictive(np.array([[[0.0]], [[1.0]]]), likelihoods.Normal(1.0))
    z = np.array([[-60.0], [-9.0], [9.0], [60.0]])
    y = at_levels(p, z)[:, 0, 0]
    found = [levels(p, np.array([[each]]))[0, 0] for each in y]
    np.testing.assert_allclose(found, z[:, 0], rtol=1e-9)
    # Half of the tail is that of the draw at 1: log sf(y - 1) - log 2 = log sf(60).
    upper = optimize.brentq(
        lambda y: stats.norm.logsf(y - 1.0) - np.log(2.0) - stats.norm.logsf(60.0), 50, 70
    )
    np.testing.assert_allclose(y[-1], upper, rtol=1e-9)


def test_far_apart_draws_and_blocks_of_rows(monkeypatch):
    draws = np.array([[-1e3], [1e3], [1e3], [1e3]])  # one row whose mixture has two hills
    p = Predictive(np.repeat(draws, 5, axis=1), likelihoods.Normal(0.01))
    q = np.array([0.1, 0.24, 0.26, 0.7])
    expected = [
        -1e3 + 0.01 * stats.norm.ppf(0.4),
        -1e3 + 0.01 * stats.norm.ppf(0.96),
        1e3 + 0.01 * stats.norm.ppf(0.01 / 0.75),
        1e3 + 0.01 * stats.norm.ppf(0.45 / 0.75),
    ]
    z = stats.norm.ppf(q)[:, None]
    whole = at_levels(p, z)
    np.testing.assert_allclose(whole[:, 2, 0], expected, rtol=0, atol=1e-6)
    # On the slope between the hills, without a step that halves the bracket.
    monkeypatch.setattr("keras_priors.calibration.mixture_levels._STEPS", 60)
    narrow = at_levels(p, stats.norm.ppf([[0.2499], [0.2501]]))[:, 0, 0]
    np.testing.assert_allclose(narrow[0], -1e3 + 0.01 * stats.norm.ppf(0.9996), rtol=0, atol=1e-6)
    np.testing.assert_allclose(
        narrow[1], 1e3 + 0.01 * stats.norm.ppf(1e-4 / 0.75), rtol=0, atol=1e-6
    )
    module = importlib.import_module("keras_priors.predictive.by_rows")
    monkeypatch.setattr(module, "_ELEMENTS", 100)
    np.testing.assert_allclose(at_levels(p, z), whole, rtol=1e-12)
