"""Quantiles in a graph, of families whose distribution functions are not elementary."""

import numpy as np
import pytest
from keras import ops
from scipy import stats
from scipy.special import expit, ndtr, softmax

from keras_priors import likelihoods as p
from keras_priors.serving.mixture_quantile import has_quantile, mixture_quantile
from tests.serving.test_statistics_of import Q, draws_of, softplus

LEVELS = np.array(Q)
# How far from a level the distribution function at its quantile may be.
NEAR = 6e-6


def quantiles(likelihood, f):
    return ops.convert_to_numpy(mixture_quantile(likelihood, ops.convert_to_tensor(f), Q))


def spread_out(likelihood, width):
    """Rows whose draws are near each other, and rows whose draws are far apart."""
    f = draws_of(likelihood, width)
    return np.concatenate([0.3 * f, 3.0 * f], axis=1).astype("float32")


# Families of numbers, their outputs, how wide these are spread, and SciPy's distribution.
def halves(f):
    f = f.astype("float64")
    width = f.shape[-1] // 2
    return f[..., :width], 1e-6 + softplus(f[..., width:])


def dirichlet(f):
    c = 1e-6 + softplus(f[..., -1:]) * softmax(f[..., :-1], axis=-1)
    return stats.beta(c, c.sum(-1, keepdims=True) - c)


NUMBERS = {
    "StudentT of each target": (
        p.StudentT([1.1, 40.0], [0.1, 3.0]),
        2,
        lambda f: stats.t([1.1, 40.0], f, [0.1, 3.0]),
    ),
    "StudentT with scales": (
        p.StudentT(3.0, None),
        4,
        lambda f: stats.t(3.0, *halves(f)),
    ),
    "StudentT, nearly normal": (p.StudentT(1e5), 1, lambda f: stats.t(1e5, f)),
    "Gamma, small": (p.Gamma(0.05), 2, lambda f: stats.gamma(0.05, scale=np.exp(f) / 0.05)),
    "Gamma of each target": (
        p.Gamma([1.0, 300.0]),
        2,
        lambda f: stats.gamma([1.0, 300.0], scale=np.exp(f) / [1.0, 300.0]),
    ),
    "Gamma with concentrations": (
        p.Gamma(None),
        4,
        lambda f: stats.gamma(1.0 / halves(f)[1], scale=np.exp(halves(f)[0]) * halves(f)[1]),
    ),
    "Beta": (
        p.Beta(),
        4,
        lambda f: stats.beta(
            1e-6 + softplus(f[..., 2:]) * expit(f[..., :2]),
            1e-6 + softplus(f[..., 2:]) * expit(-f[..., :2]),
        ),
    ),
    "Dirichlet": (p.Dirichlet(), 4, dirichlet),
    "Censored": (p.Censored(p.Gamma(2.0)), 1, lambda f: stats.gamma(2.0, scale=np.exp(f) / 2.0)),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_of_numbers(name):
    """The distribution function of the mixture, by SciPy in float64, at the quantiles found."""
    likelihood, width, scipys = NUMBERS[name]
    f = spread_out(likelihood, width)
    assert has_quantile(likelihood)
    found = quantiles(likelihood, f).astype("float64")
    distribution = scipys(f.astype("float64"))
    for k, level in enumerate(LEVELS):
        # Where float32 has no number at which it is nearer, one of those beside it.
        y = found[..., k]
        room = 1e-5 * np.abs(y) + 1e-37
        below, above = (distribution.cdf(y + step).mean(0) for step in (-room, room))
        assert np.all(below <= level + NEAR), (name, level)
        assert np.all(above >= level - NEAR), (name, level)
        # Relative to the tail too.
        tail = distribution.sf(y - room).mean(0) if level > 0.5 else above
        assert np.all(tail >= min(level, 1.0 - level) * (1.0 - 1e-2)), (name, level)


def of_zeros(within, f, width):
    """(y -> F(y)) with sure zeros."""
    pi = expit(f[..., -width:])
    return lambda y: np.where(y < 0.0, 0.0, pi + (1.0 - pi) * within(f[..., :-width])(y))


def poisson(f):
    return stats.poisson(np.exp(f)).cdf


def negative_binomial(f, r):
    return stats.nbinom(r, r / (r + np.exp(f))).cdf


def beta_binomial(n):
    def of(f):
        c = 1e-6 + softplus(f[..., -1:]) * softmax(f[..., :-1], axis=-1)
        return stats.betabinom(n, c, c.sum(-1, keepdims=True) - c).cdf

    return of


COUNTS = {
    "Poisson": (p.Poisson(), 2, poisson),
    "Poisson of rates": (p.Poisson(from_log_rate=False), 2, lambda f: stats.poisson(f).cdf),
    "NegativeBinomial": (
        p.NegativeBinomial([0.3, 40.0]),
        2,
        lambda f: negative_binomial(f, np.array([0.3, 40.0])),
    ),
    "NegativeBinomial with dispersions": (
        p.NegativeBinomial(None),
        4,
        lambda f: negative_binomial(halves(f)[0], 1.0 / halves(f)[1]),
    ),
    "Binomial": (p.Binomial([1, 60]), 2, lambda f: stats.binom([1, 60], expit(f)).cdf),
    "Binomial, probit": (
        p.Binomial(1000, link="probit"),
        2,
        lambda f: stats.binom(1000, ndtr(f)).cdf,
    ),
    "Binomial of one trial": (p.Binomial(), 2, lambda f: stats.binom(1, expit(f)).cdf),
    "ZeroInflated": (p.ZeroInflated(p.Poisson()), 4, lambda f: of_zeros(poisson, f, 2)),
    "ZeroInflated NegativeBinomial": (
        p.ZeroInflated(p.NegativeBinomial(2.0)),
        2,
        lambda f: of_zeros(lambda f: negative_binomial(f, 2.0), f, 1),
    ),
    "DirichletMultinomial": (p.DirichletMultinomial(30), 4, beta_binomial(30)),
    "DirichletMultinomial of one": (p.DirichletMultinomial(), 4, beta_binomial(1)),
}


@pytest.mark.parametrize("name", COUNTS)
def test_of_counts(name):
    """The least count with F(y) >= q, by SciPy in float64."""
    likelihood, width, scipys = COUNTS[name]
    f = spread_out(likelihood, width)
    f = np.exp(f) if name == "Poisson of rates" else f
    assert has_quantile(likelihood)
    found = quantiles(likelihood, f).astype("float64")
    assert np.all((found >= 0) & (found == np.floor(found)))
    cdf = scipys(f.astype("float64"))
    for k, level in enumerate(LEVELS):
        y = found[..., k]
        assert np.all(cdf(y).mean(0) >= level - NEAR), (name, level)
        assert np.all(cdf(y - 1.0).mean(0) < level + NEAR), (name, level)
    assert found.max() > (0 if "of one" in name else 3)


def test_many_counts_have_the_digits_of_float32():
    f = np.log([[[3e5]], [[1e6]]]).astype("float32")
    found = quantiles(p.Poisson(), f)[0, 0]
    rates = np.exp(f.astype("float64"))
    for y, level in zip(found.astype("float64"), LEVELS, strict=True):
        below, above = (stats.poisson(rates).cdf(y + step).mean() for step in (-20, 20))
        assert below - NEAR <= level <= above + NEAR


@pytest.mark.parametrize("name", ["Gamma of each target", "Poisson", "DirichletMultinomial"])
def test_steps_of_a_sequence_are_observations(name):
    likelihood, width, _ = {**NUMBERS, **COUNTS}[name]
    f = draws_of(likelihood, width, (7, 3, 5))
    flat = f.reshape(7, 15, width)
    found = quantiles(likelihood, f)
    np.testing.assert_array_equal(found.reshape(15, *found.shape[2:]), quantiles(likelihood, flat))


class Own(p.Gamma):
    """Whose distribution function may be another."""


def test_of_angles_and_of_ones_own_there_are_none():
    for likelihood in (p.VonMises(), Own(2.0), p.ZeroInflated(OwnCounts())):
        assert not has_quantile(likelihood)


class OwnCounts(p.Poisson):
    """As above."""
