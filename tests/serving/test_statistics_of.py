"""Statistics in a graph are those of `Predictive`, in float32."""

import numpy as np
import pytest
from keras import ops
from scipy import stats
from scipy.special import expit, ndtri

import keras_priors as kp
from keras_priors import likelihoods as p
from keras_priors.calibration.mixture_levels import at_levels
from keras_priors.serving.mixture_quantile import has_quantile
from keras_priors.serving.statistics_of import statistics_of

NUMBERS = {
    "Normal": (p.Normal(0.4), 2),
    "Normal of each target": (p.Normal([0.4, 2.0]), 2),
    "HeteroscedasticNormal": (p.HeteroscedasticNormal(), 4),
    "Laplace": (p.Laplace(0.4), 2),
    "Laplace with scales": (p.Laplace(None), 4),
    "StudentT": (p.StudentT(5.0, 0.4), 2),
    "Poisson": (p.Poisson(), 2),
    "NegativeBinomial": (p.NegativeBinomial(3.0), 2),
    "Beta": (p.Beta(), 4),
    "ZeroInflated": (p.ZeroInflated(p.Poisson()), 2),
    "MultivariateNormal": (p.MultivariateNormal(), 5),
    "LogNormal": (p.LogNormal(0.4), 2),
    "LogNormal with scales": (p.LogNormal(None), 4),
    "Weibull": (p.Weibull(3.0), 2),
    "Weibull with concentrations": (p.Weibull(None), 4),
    "AsymmetricLaplace": (p.AsymmetricLaplace(0.9, 0.4), 2),
    "AsymmetricLaplace of each target": (p.AsymmetricLaplace([0.9, 0.2], None), 4),
    "NormalMixture": (p.NormalMixture(3), 18),
    "Censored": (p.Censored(p.Weibull(3.0)), 2),
    "Gamma": (p.Gamma(2.0), 2),
}
CLASSES = {
    "Categorical": (p.Categorical(), 3),
    "Bernoulli": (p.Bernoulli(), 2),
    "Categorical of probabilities": (p.Categorical(from_logits=False), 3),
    "Bernoulli, probit": (p.Bernoulli(link="probit"), 2),
    "Ordinal": (p.Ordinal(4), 3),
}
COUNTS = ("Poisson", "NegativeBinomial", "ZeroInflated")
EXACT = [name for name in NUMBERS if name.startswith(("Normal", "Hetero", "Laplace"))]
EXACT.remove("NormalMixture")
POSITIVE = ("LogNormal", "Weibull", "Censored", "Gamma")
Q = (0.001, 0.05, 0.5, 0.9, 0.999)


def draws_of(likelihood, width, shape=(7, 6)):
    f = np.random.default_rng(0).normal(size=(*shape, width)).astype("float32")
    if getattr(likelihood, "from_logits", True):
        return f
    return np.exp(f) / np.exp(f).sum(axis=-1, keepdims=True)


def exact_quantiles(predictive, q):
    """In float64, by another search."""
    return np.moveaxis(at_levels(predictive, ndtri(np.array(q))[:, None]), 0, -1)


def softplus(x):
    return np.log1p(np.exp(x))


def by_scipy(name, f):
    """SciPy's distributions (S, N, 2) of draws, in float64, and the weight of each."""
    f = f.astype("float64")
    first, second = f[..., :2], 1e-6 + softplus(f[..., 2:4])
    of = {
        "LogNormal": lambda: stats.lognorm(0.4, scale=np.exp(first)),
        "LogNormal with scales": lambda: stats.lognorm(second, scale=np.exp(first)),
        "Weibull": lambda: stats.weibull_min(3.0, scale=np.exp(first)),
        "Weibull with concentrations": lambda: stats.weibull_min(second, scale=np.exp(first)),
        # Of each target by itself; that variance is held to SciPy's with the likelihood.
        "MultivariateNormal": lambda: stats.norm(
            first, np.sqrt(ops.convert_to_numpy(p.MultivariateNormal().variance(f)))
        ),
        "Censored": lambda: stats.weibull_min(3.0, scale=np.exp(first)),
        "StudentT": lambda: stats.t(5.0, first, 0.4),
        "Gamma": lambda: stats.gamma(2.0, scale=np.exp(first) / 2.0),
        "Beta": lambda: stats.beta(second * expit(first), second * expit(-first)),
    }
    if name.startswith("AsymmetricLaplace"):
        # SciPy's kappa has kappa^2 / (1 + kappa^2) below 0, as the quantile is here.
        q = np.array([0.9, 0.2] if "each" in name else [0.9])
        scale = second if "each" in name else 0.4
        kappa, scale = np.sqrt(q / (1.0 - q)), scale / np.sqrt(q * (1.0 - q))
        return stats.laplace_asymmetric(kappa, loc=first, scale=scale), 1.0
    if name == "NormalMixture":
        parts = np.moveaxis(f.reshape(7, 6, 3, 2, 3), 2, 0)
        logits, loc, rho = (np.moveaxis(part, -1, 0) for part in parts)
        weight = np.exp(logits) / np.exp(logits).sum(0)
        return stats.norm(loc, 1e-3 + softplus(rho)), weight
    return of[name](), 1.0


def searched(name, f, q):
    """The quantile of the mixture of SciPy's, by a search of its own in each element; its logarithm
    where y is positive."""
    distribution, weight = by_scipy(name, f)
    point = np.exp if name.startswith(POSITIVE) else np.asarray
    inner = tuple(range(distribution.mean().ndim - 2))

    def cdf(y):
        with np.errstate(over="ignore"):  # of the branch that SciPy does not take
            each = distribution.cdf(point(y)) * weight
        return each.mean(inner) if np.ndim(weight) == 0 else each.sum(0).mean(0)

    low, high = (np.full((6, 2), each) for each in (-100.0, 100.0))
    for _ in range(80):
        middle = 0.5 * (low + high)
        low, high = (np.where(cdf(middle) < q, a, b) for a, b in ((middle, low), (high, middle)))
    return middle


def compare(found, expected, scale=None):
    found = ops.convert_to_numpy(found)
    assert found.shape == expected.shape
    scale = np.abs(expected).max() if scale is None else scale
    np.testing.assert_array_less(np.abs(found - expected), 1e-5 * scale + 1e-9)


@pytest.mark.parametrize("name", NUMBERS)
def test_of_numbers(name):
    likelihood, width = NUMBERS[name]
    draws = draws_of(likelihood, width)
    predictive = kp.Predictive(draws, likelihood)
    assert has_quantile(likelihood)
    q = () if name in COUNTS else Q  # those of counts have tests of their own
    found = statistics_of(likelihood, ops.convert_to_tensor(draws), q)
    names = ["mean", "std", "epistemic", "aleatoric"]
    assert sorted(found) == sorted([*names, *(["quantiles"] if q else [])])
    for each in names:
        compare(found[each], getattr(predictive, each))
    if q:
        if name in EXACT:
            expected = exact_quantiles(predictive, q)
        else:
            expected = np.stack([searched(name, draws, level) for level in q], -1)
        positive = name.startswith(POSITIVE)
        quantiles = ops.log(found["quantiles"]) if positive else found["quantiles"]
        compare(quantiles, expected, 1.0 if positive else predictive.std.min())
        sampled = np.moveaxis(predictive.quantile(Q), 0, -1)[..., 1:4]
        error = ops.convert_to_numpy(found["quantiles"])[..., 1:4] - sampled
        assert np.abs(error / predictive.std[..., None]).max() < 0.2


@pytest.mark.parametrize("name", CLASSES)
def test_of_classes(name):
    likelihood, width = CLASSES[name]
    draws = draws_of(likelihood, width)
    draws[:, 0] = 300.0 * draws[:, 0] if name == "Categorical" else draws[:, 0]  # p = 0 in float32
    predictive = kp.Predictive(draws, likelihood)
    found = statistics_of(likelihood, ops.convert_to_tensor(draws), ())
    names = ["probabilities", "entropy", "expected_entropy", "mutual_information"]
    assert sorted(found) == sorted(names)
    for each in names:
        compare(found[each], getattr(predictive, each))


def test_outputs_without_an_axis_of_their_own_have_none_here():
    draws = draws_of(None, 1)[..., 0]
    likelihood = p.Normal(0.4)
    predictive = kp.Predictive(draws, likelihood)
    found = statistics_of(likelihood, ops.convert_to_tensor(draws), Q)
    assert tuple(found["mean"].shape) == predictive.mean.shape == (6,)
    compare(found["std"], predictive.std)
    assert tuple(found["quantiles"].shape) == (6, len(Q))


def test_steps_of_a_sequence_are_observations():
    likelihood, width = NUMBERS["HeteroscedasticNormal"]
    draws = draws_of(likelihood, width, (7, 3, 5))
    predictive = kp.Predictive(draws, likelihood)
    found = statistics_of(likelihood, ops.convert_to_tensor(draws), Q)
    compare(found["quantiles"], exact_quantiles(predictive, Q), predictive.std.min())


def test_quantiles_of_draws_far_apart():
    # Two heaps, 10^4 noise scales apart, of which one has a third of the draws.
    draws = np.array([-100.0, 100.0, 100.0], "float32").reshape(3, 1, 1)
    likelihood = p.Normal(0.01)
    predictive = kp.Predictive(draws, likelihood)
    q = (0.2, 1 / 3, 0.5, 0.8)
    found = statistics_of(likelihood, ops.convert_to_tensor(draws), q)["quantiles"]
    compare(found[..., :1], exact_quantiles(predictive, q[:1]), predictive.std.min())
    compare(found[..., 2:], exact_quantiles(predictive, q[2:]), predictive.std.min())
    assert abs(float(found[0, 0, 1])) < 100.0  # between the heaps, where the density is none


def test_of_one_draw():
    f = draws_of(None, 2, (1, 4))
    found = statistics_of(p.Normal(0.5), ops.convert_to_tensor(f), Q)
    expected = f[0][..., None] + 0.5 * ndtri(np.array(Q))
    compare(found["quantiles"], expected, 0.5)
    assert float(ops.max(found["epistemic"])) == 0.0
