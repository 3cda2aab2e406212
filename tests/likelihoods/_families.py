"""The table of the families of the field: outputs, targets, and what SciPy knows of each.

Beside that of `_cases.py`, and with fewer tests, each of which looks at more.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.special as sp
from scipy import stats

from keras_priors import likelihoods as lk
from tests.likelihoods._cases import softplus

N, D = 4, 2
RNG = np.random.default_rng(1)
F, F2 = RNG.normal(size=(N, D)), RNG.normal(size=(N, 2 * D))
NATURAL = (-1.0, 0.5, np.nan, np.inf)
POSITIVE = (0.0, -1.0, np.nan, np.inf)
REAL = (np.nan, np.inf, -np.inf)
INF = np.inf


@dataclass
class Family:
    """A likelihood with outputs (N, k) and targets, in float64.

    `logpdf(y, outputs)` is the oracle, of each observation. `outside` are targets, or elements of
    one, without a density. `moments(outputs)` gives mean and variance. `law(outputs)`, of one row
    of outputs (k,) of one target, is the frozen distribution of SciPy by which the Fisher
    information is integrated; without it the curvature is the observed one.
    """

    name: str
    likelihood: Any
    outputs: Any
    y: Any
    logpdf: Any
    outside: tuple
    moments: Any
    law: Any = None
    extremes: tuple = (-1e4, 1e4)

    def __repr__(self):
        return self.name


def halves(o):
    width = o.shape[-1] // 2
    return o[..., :width], o[..., width:]


def positive(rho):
    return 1e-6 + softplus(rho)


def summed(distribution, discrete=False):
    """`logpdf(y, outputs)` of independent elements with this distribution of outputs."""
    return lambda y, o: getattr(distribution(o), "logpmf" if discrete else "logpdf")(y).sum(-1)


def moments_of(distribution):
    return lambda o: (distribution(o).mean(), distribution(o).var())


def elements(name, likelihood, outputs, y, distribution, outside, law=True, **kwargs):
    """A family of independent elements with the distribution `distribution(outputs)` of SciPy."""
    discrete = likelihood.is_discrete
    return Family(
        name,
        likelihood,
        outputs,
        y,
        summed(distribution, discrete),
        outside,
        moments_of(distribution),
        distribution if law else None,
        **kwargs,
    )


def trials(y, o, p):
    return stats.binom.logpmf(*halves(y), p(o)).sum(-1)


def ordinal_masses(o, cdf):
    below = np.concatenate([0.0 * o[..., :1], np.cumsum(positive(o[..., 1:]), -1)], -1)
    above = cdf(o[..., :1] - below)
    ends = np.ones_like(above[..., :1]), np.zeros_like(above[..., :1])
    return -np.diff(np.concatenate([ends[0], above, ends[1]], -1))


def ordinal(name, cdf, classes, link):
    outputs = RNG.normal(size=(N, classes - 1))

    def logpdf(y, o):
        p = ordinal_masses(o, cdf)
        picked = np.take_along_axis(p, np.reshape(y, (-1, 1)).astype(int), -1)
        return np.log(picked).sum(-1)

    def moments(o):
        p, k = ordinal_masses(o, cdf), np.arange(classes)
        mean = (p * k).sum(-1, keepdims=True)
        return mean, (p * (k - mean) ** 2).sum(-1, keepdims=True)

    return Family(
        name,
        lk.Ordinal(classes, link),
        outputs,
        np.arange(N).reshape(N, 1).astype("float64") % classes,
        logpdf,
        (-1.0, float(classes), 0.5, np.nan),
        moments,
        lambda o: stats.rv_discrete(values=(np.arange(classes), ordinal_masses(o, cdf))),
        (-50.0, 50.0),
    )


def weibull(o, k):
    return stats.weibull_min(k, scale=np.exp(o))


def weibull_of_both(o):
    f, rho = halves(o)
    return weibull(f, positive(rho))


def gamma(o, k):
    return stats.gamma(k, scale=np.exp(o) / k)


def gamma_of_both(o):
    f, rho = halves(o)
    return gamma(f, 1.0 / positive(rho))


def log_normal(o, s):
    return stats.lognorm(s, scale=np.exp(o))


def log_normal_of_both(o):
    f, rho = halves(o)
    return log_normal(f, positive(rho))


def censored(law, name, within, outputs, low):
    """Exact, left, right and interval targets, whose log density is by hand."""
    distribution = {
        "normal": lambda o: stats.norm(o, 0.8),
        "log-normal": lambda o: log_normal(o, 0.7),
        "weibull": lambda o: weibull(o, 1.7),
        "both": lambda o: stats.norm(*halves(o)[:1], positive(halves(o)[1])),
    }[law]
    bounds = np.array(
        [
            # lower of both, upper of both: exact and right, left and interval, ...
            [0.7, 1.2, 0.7, INF],
            [low, 0.5, 0.8, 0.9],
            [-INF, 0.4, INF, 2.0],
            [0.625, 1.0, 0.625 + 2.0**-20, 1.0625],
        ]
    )

    def logpdf(y, o):
        d, (a, b) = distribution(o), halves(y)
        with np.errstate(divide="ignore", invalid="ignore"):
            upper = np.log(d.sf(a) - d.sf(b))
            lower = np.log(d.cdf(b) - d.cdf(a))
            narrow = d.logpdf(0.5 * (a + b)) + np.log(b - a)  # to the square of 1e-6
        mass = np.where(d.cdf(a) > 0.5, upper, lower)
        mass = np.where((b - a > 0) & (b - a < 1e-5), narrow, mass)
        mass = np.where(np.isinf(a) & np.isinf(b), 0.0, mass)
        return np.where(a == b, d.logpdf(a), mass).sum(-1)

    outside = ([0.9, 0.5, 0.8, INF], [np.nan, 0.5, 0.8, 1.0], [0.5, 0.5, np.nan, 1.0])
    outside += ([INF, 0.5, INF, 0.5], [-INF, 0.5, -INF, 0.5])
    outside += ([-1.0, 0.5, -1.0, 1.0], [-2.0, 0.5, -1.0, 1.0]) if low == 0.0 else ()
    moments = moments_of(distribution)
    return Family(
        f"censored-{name}", lk.Censored(within), outputs, bounds, logpdf, outside, moments
    )


COUNTS = RNG.integers(0, 5, size=(N, D)).astype("float64")
OF_TRIALS = np.concatenate([COUNTS, COUNTS + np.array([[0, 3], [2, 0], [9, 1], [30, 2]])], -1)
K = np.array([0.7, 3.0])
ABOVE = RNG.gamma(2.0, size=(N, D))

FAMILIES = [
    elements(
        "bernoulli-probit",
        lk.Bernoulli(link="probit"),
        F,
        (COUNTS > 1).astype("float64"),
        lambda o: stats.bernoulli(stats.norm.cdf(o)),
        (0.5, 2.0, np.nan),
    ),
    elements(
        "binomial",
        lk.Binomial([4, 7]),
        F,
        COUNTS,
        lambda o: stats.binom([4, 7][: o.shape[-1]], sp.expit(o)),
        (*NATURAL, 8.0),
    ),
    elements(
        "binomial-probit",
        lk.Binomial(4, "probit"),
        F,
        COUNTS,
        lambda o: stats.binom(4, stats.norm.cdf(o)),
        (*NATURAL, 5.0),
    ),
    Family(
        "binomial-of-trials",
        lk.Binomial(),
        F,
        OF_TRIALS,
        lambda y, o: trials(y, o, sp.expit),
        ([3, 0, 2, 1], [1, 0, 1.5, 1], [0.5, 0, 1, 1], [-1, 0, 1, 1], [1, 1, np.nan, 1], np.inf),
        moments_of(lambda o: stats.bernoulli(sp.expit(o))),
    ),
    ordinal("ordinal", sp.expit, 4, "logit"),
    ordinal("ordinal-probit", stats.norm.cdf, 4, "probit"),
    ordinal("ordinal-two", sp.expit, 2, "logit"),
    elements(
        "gamma", lk.Gamma([0.7, 3.0]), F, ABOVE, lambda o: gamma(o, K[: o.shape[-1]]), POSITIVE
    ),
    elements("gamma-of-both", lk.Gamma(None), F2, ABOVE, gamma_of_both, POSITIVE),
    elements("log-normal", lk.LogNormal(0.6), F, ABOVE, lambda o: log_normal(o, 0.6), POSITIVE),
    elements("log-normal-of-both", lk.LogNormal(None), F2, ABOVE, log_normal_of_both, POSITIVE),
    elements("weibull", lk.Weibull(1.7), F, ABOVE, lambda o: weibull(o, 1.7), POSITIVE),
    elements("weibull-of-both", lk.Weibull(None), F2, ABOVE, weibull_of_both, POSITIVE),
    censored("normal", "normal", lk.Normal(0.8), F, -INF),
    censored("both", "normal-of-both", lk.HeteroscedasticNormal(), F2, -INF),
    censored("log-normal", "log-normal", lk.LogNormal(0.7), F, 0.0),
    censored("weibull", "weibull", lk.Weibull(1.7), F, 0.0),
]
BY_NAME = {family.name: family for family in FAMILIES}
