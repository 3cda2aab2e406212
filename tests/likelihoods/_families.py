# Long: one table, with the laws of SciPy that its lines are held to.
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
F, F2, F3 = (RNG.normal(size=(N, k * D)) for k in (1, 2, 3))
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
    information is integrated, and `information(outputs)` that matrix by a formula; without both
    the curvature is the observed one.
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
    information: Any = None

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
        "gamma": lambda o: gamma(o, 1.7),
        "gamma-of-both": lambda o: gamma_of_both(o),
        "gamma-large": lambda o: gamma(o, [30.0, 8.0]),
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


def inflated(name, within, outputs, law):
    """Of a likelihood of counts with `law(outputs)`, and the logits of a sure zero behind."""

    def parts(o):
        return o[..., :-D], sp.expit(o[..., -D:])

    def logpdf(y, o):
        f, sure = parts(o)
        p = (1.0 - sure) * law(f).pmf(y) + sure * (y == 0)
        return np.log(p).sum(-1)

    def moments(o):
        f, sure = parts(o)
        mean, variance = law(f).mean(), law(f).var()
        return (1 - sure) * mean, (1 - sure) * (variance + sure * mean**2)

    likelihood = lk.ZeroInflated(within)
    return Family(
        name, likelihood, outputs, COUNTS, logpdf, NATURAL, moments, extremes=(-50.0, 50.0)
    )


def asymmetric(o, q, s):
    kappa = np.sqrt(q / (1.0 - q))
    return stats.laplace_asymmetric(kappa, o, kappa * s / q)


def asymmetric_of_both(o):
    f, rho = halves(o)
    return asymmetric(f, 0.8, positive(rho))


def mixture_parts(o):
    a, m, rho = np.moveaxis(o.reshape(*o.shape[:-1], 3, D, 3), -3, 0)
    return sp.softmax(a, -1), m, 1e-3 + softplus(rho)


def mixture(y, o):
    w, m, s = mixture_parts(o)
    return np.log((w * stats.norm.pdf(y[..., None], m, s)).sum(-1)).sum(-1)


def mixture_moments(o):
    w, m, s = mixture_parts(o)
    mean = (w * m).sum(-1)
    return mean, (w * (s**2 + m**2)).sum(-1) - mean**2


def joint(name, covariance, likelihood, width):
    """Jointly normal targets with the covariances `covariance(outputs)`, (N, 3, 3)."""

    def logpdf(y, o):
        away, c = np.broadcast_to(y, (len(o), 3)) - o[:, :3], covariance(o)
        square = np.einsum("ni,ni->n", away, np.linalg.solve(c, away[..., None])[..., 0])
        return -0.5 * (square + np.linalg.slogdet(2 * np.pi * c)[1])

    def moments(o):
        return o[..., :3], np.einsum("nii->ni", covariance(o))

    def information(f):
        step = 1e-6 * np.eye(width)
        slopes = (covariance(f + step) - covariance(f - step)) / 2e-6
        inverse = np.linalg.inv(covariance(f[None])[0])
        each = inverse @ slopes  # of every output
        found = 0.5 * np.einsum("aij,bji->ab", each, each)
        found[:3, :3] += inverse
        return found

    y, outputs = RNG.normal(size=(N, 3)), RNG.normal(size=(N, width))
    bad = ([0.0, np.nan, 0.0], [0.0, INF, 0.0])
    return Family(
        name,
        likelihood,
        outputs,
        y,
        logpdf,
        bad,
        moments,
        information=information,
        extremes=(-30.0, 30.0),
    )


def by_triangle(f):
    lower = np.zeros((len(f), 3, 3))
    lower[:, *np.tril_indices(3)] = f[:, 3:]
    lower[:, *np.diag_indices(3)] = 1e-3 + softplus(np.einsum("nii->ni", lower))
    return lower @ np.swapaxes(lower, 1, 2)


def by_rank(f):
    factor = f[:, 6:].reshape(-1, 3, 2)
    scale = 1e-3 + softplus(f[:, 3:6])
    return scale[..., None] ** 2 * np.eye(3) + factor @ np.swapaxes(factor, 1, 2)


def von_mises(o, k):
    return stats.vonmises(k, o)


def von_mises_of_both(o):
    f, rho = halves(o)
    return von_mises(f, positive(rho))


def circular(law):
    def moments(o):
        k = law(o).args[0]
        f = o[..., :D]
        return np.arctan2(np.sin(f), np.cos(f)), 1.0 - sp.ive(1, k) / sp.ive(0, k) + 0 * f

    return moments


def shares(o):
    return 1e-6 + softplus(o[..., -1:]) * sp.softmax(o[..., :-1], -1)


def dirichlet(y, o):
    c = shares(o)
    each = (c - 1) * np.log(y) - sp.gammaln(c)
    return each.sum(-1) + sp.gammaln(c.sum(-1))


def dirichlet_information(o):
    c, step = shares(o), 1e-6 * np.eye(len(o))
    slopes = (shares(o + step) - shares(o - step)) / 2e-6  # (K + 1, K)
    inner = np.diag(sp.polygamma(1, c)) - sp.polygamma(1, c.sum())
    return slopes @ inner @ slopes.T


def dirichlet_moments(o):
    each = [stats.dirichlet(c) for c in shares(o)]
    return np.array([d.mean() for d in each]), np.array([d.var() for d in each])


def shared_out(y, o):
    c, n = shares(o), y.sum(-1)
    each = sp.gammaln(c + y) - sp.gammaln(c) - sp.gammaln(y + 1)
    of_all = sp.gammaln(n + 1) + sp.gammaln(c.sum(-1)) - sp.gammaln(c.sum(-1) + n)
    return each.sum(-1) + of_all


def shared_out_moments(n):
    def moments(o):
        laws = [stats.dirichlet_multinomial(c, n) for c in shares(o)]
        return np.array([d.mean() for d in laws]), np.array([d.var() for d in laws])

    return moments


def kinds(name, n, y, outside):
    """Counts of three kinds among n."""
    outputs = np.random.default_rng(5).normal([0.0, 0.0, 0.0, 3.0], size=(N, 4))
    bad = ([-1, 0, 0], [0.5, 0.5, 0], [np.nan, 1, 1], [INF, 0, 0])
    return Family(
        name,
        lk.DirichletMultinomial(n),
        outputs,
        np.array(y, "float64"),
        shared_out,
        (*bad, *outside),
        shared_out_moments(n or 1),
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
    censored("gamma", "gamma", lk.Gamma(1.7), F, 0.0),
    censored("gamma-of-both", "gamma-of-both", lk.Gamma(None), F2, 0.0),
    censored("gamma-large", "gamma-large", lk.Gamma([30.0, 8.0]), F, 0.0),
    inflated("inflated-poisson", lk.Poisson(), F2, lambda f: stats.poisson(np.exp(f))),
    inflated(
        "inflated-negative-binomial",
        lk.NegativeBinomial(None),
        F3,
        lambda f: stats.nbinom(
            1 / positive(f[..., D:]), 1 / (1 + np.exp(f[..., :D]) * positive(f[..., D:]))
        ),
    ),
    inflated("inflated-binomial", lk.Binomial(5), F2, lambda f: stats.binom(5, sp.expit(f))),
    elements(
        "asymmetric-laplace",
        lk.AsymmetricLaplace([0.1, 0.8], 0.7),
        F,
        ABOVE,
        lambda o: asymmetric(o, np.array([0.1, 0.8])[: o.shape[-1]], 0.7),
        REAL,
    ),
    elements(
        "asymmetric-laplace-of-both",
        lk.AsymmetricLaplace(0.8, None),
        F2,
        ABOVE,
        asymmetric_of_both,
        REAL,
    ),
    Family(
        "mixture",
        lk.NormalMixture(3),
        RNG.normal(size=(N, 9 * D)),
        ABOVE,
        mixture,
        REAL,
        mixture_moments,
    ),
    joint("joint-normal", by_triangle, lk.MultivariateNormal(), 9),
    joint("joint-normal-of-rank", by_rank, lk.MultivariateNormal(rank=2), 12),
    Family(
        "von-mises",
        lk.VonMises([0.5, 40.0]),
        3 * F,
        RNG.uniform(-9, 9, size=(N, D)),
        summed(lambda o: von_mises(o, np.array([0.5, 40.0])[: o.shape[-1]])),
        REAL,
        circular(lambda o: von_mises(o, np.array([0.5, 40.0]))),
        lambda o: von_mises(o, 0.5),
    ),
    Family(
        "von-mises-of-both",
        lk.VonMises(None),
        F2,
        ABOVE,
        summed(von_mises_of_both),
        REAL,
        circular(von_mises_of_both),
        von_mises_of_both,
    ),
    Family(
        "dirichlet",
        lk.Dirichlet(),
        RNG.normal([0.0, 0.0, 0.0, 3.0], size=(N, 4)),
        RNG.dirichlet([2.0, 3.0, 4.0], size=N),
        dirichlet,
        ([0.5, 0.6, 0.2], [0.0, 0.5, 0.5], [-0.1, 0.6, 0.5], [np.nan, 0.5, 0.5]),
        dirichlet_moments,
        information=dirichlet_information,
    ),
    kinds("kinds", None, [[0, 0, 0], [1, 0, 2], [40, 3, 5], [0, 7, 0]], ()),
    kinds("kinds-of-six", 6, [[6, 0, 0], [1, 2, 3], [2, 0, 4], [2, 2, 2]], ([1, 1, 1],)),
]
BY_NAME = {family.name: family for family in FAMILIES}
# What is like another one but for a constant: a part of the tests takes these where there is time.
LIKE_OTHERS = {
    "binomial",
    "ordinal-probit",
    "ordinal-two",
    "gamma",
    "log-normal",
    "weibull",
    "censored-normal",
    "censored-log-normal",
    "censored-gamma-of-both",
    "censored-gamma-large",
    "inflated-poisson",
    "inflated-binomial",
    "asymmetric-laplace",
    "joint-normal",
    "kinds-of-six",
    "von-mises",
}
