"""The table of priors with their references in float64, from SciPy or from the definition."""

import dataclasses
from collections.abc import Callable

import numpy as np
from scipy import special, stats

from keras_priors import priors as p

REAL = np.array([1e-30, -1e-30, 1e-8, 1e-3, -0.3, 0.5, 1.0, -2.0, 7.0, 50.0, -1e4, 1e4])
POSITIVE = np.array([1e-30, 1e-8, 1e-3, 0.3, 0.5, 1.0, 2.0, 7.0, 50.0, 1e4])
UNIT = np.array([1e-30, 1e-8, 1e-3, 0.3, 0.5, 0.9, 0.999, 1.0 - 2.0**-20])
BOX = np.array([1e-30, -1e-30, 1e-8, 1e-3, -0.3, 0.5, 0.99])


@dataclasses.dataclass(frozen=True)
class Case:
    """One prior with scalar parameters and what is known of it."""

    name: str
    make: Callable
    logpdf: Callable
    points: np.ndarray
    cdf: Callable

    def __repr__(self):
        return self.name


def float32(values):
    """`values` as float32 sees them, in float64: where both sides are evaluated."""
    return np.asarray(values, "float32").astype("float64")


def mixture(weights, scales):
    components = [stats.norm(0.0, scale) for scale in scales]

    def logpdf(w):
        terms = [np.log(a) + c.logpdf(w) for a, c in zip(weights, components, strict=True)]
        return special.logsumexp(terms, axis=0)

    def cdf(w):
        return sum(a * c.cdf(w) for a, c in zip(weights, components, strict=True))

    return logpdf, cdf


def scaled_e1(u):
    """exp(u) E1(u): SciPy's, and for large u the asymptotic series."""
    u = np.asarray(u, "float64")
    small = np.minimum(u, 50.0)
    large = np.maximum(u, 50.0)
    series = sum((-1.0) ** n * special.factorial(n) / large**n for n in range(12)) / large
    return np.where(u < 50.0, np.exp(small) * special.exp1(small), series)


def horseshoe_logpdf(scale):
    return lambda w: np.log(scaled_e1(0.5 * (w / scale) ** 2) / (scale * np.sqrt(2 * np.pi**3)))


def regularized_horseshoe_logpdf(scale, slab_scale):
    """From the definition: the integral over log lambda, by a fine trapezoidal rule."""
    log_lambda = np.linspace(-90.0, 50.0, 7001)
    weight = np.log(2.0 / np.pi) + log_lambda - np.logaddexp(0.0, 2.0 * log_lambda)
    log_precision = np.logaddexp(-2.0 * np.log(slab_scale), -2.0 * (np.log(scale) + log_lambda))

    def logpdf(w):
        w = np.asarray(w, "float64")[..., None]
        normal = 0.5 * (log_precision - np.log(2 * np.pi) - np.exp(log_precision) * w**2)
        step = log_lambda[1] - log_lambda[0]
        return special.logsumexp(weight + normal, axis=-1) + np.log(step)

    return logpdf


def symmetric_cdf(logpdf):
    """The distribution function of a symmetric density, integrated over log |w|."""
    log_w = np.linspace(-45.0, 25.0, 14001)
    density = np.concatenate(
        [np.exp(logpdf(np.exp(part)) + part) for part in np.split(log_w, [7000])]
    )
    mass = np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]))])
    mass *= log_w[1] - log_w[0]
    assert abs(mass[-1] - 0.5) < 1e-4  # the density is normalized
    return lambda w: 0.5 + np.sign(w) * np.interp(np.log(np.maximum(np.abs(w), 1e-19)), log_w, mass)


def scipy_case(name, make, frozen, points=REAL):
    return Case(name, make, frozen.logpdf, points, frozen.cdf)


def laplace_case(loc, scale):
    # SciPy takes the logarithm of the density, which underflows.
    return Case(
        f"laplace-{scale}",
        lambda: p.LaplacePrior(loc, scale),
        lambda w: -np.abs(w - loc) / scale - np.log(2.0 * scale),
        REAL,
        stats.laplace(loc, scale).cdf,
    )


def horseshoe_case(scale):
    logpdf = horseshoe_logpdf(scale)
    return Case(
        f"horseshoe-{scale}", lambda: p.HorseshoePrior(scale), logpdf, REAL, symmetric_cdf(logpdf)
    )


def regularized_horseshoe_case(scale, slab):
    logpdf = regularized_horseshoe_logpdf(scale, slab)
    name = f"regularized_horseshoe-{scale}-{slab}"
    return Case(
        name,
        lambda: p.RegularizedHorseshoePrior(scale, slab),
        logpdf,
        REAL,
        symmetric_cdf(logpdf),
    )


def truncated_case(loc, scale, low, high, points):
    a = -np.inf if low is None else (low - loc) / scale
    b = np.inf if high is None else (high - loc) / scale
    return scipy_case(
        f"truncated_normal-{low}-{high}",
        lambda: p.TruncatedNormalPrior(loc, scale, low, high),
        stats.truncnorm(a, b, loc, scale),
        points,
    )


CASES = [
    scipy_case("normal", lambda: p.NormalPrior(0.5, 2.0), stats.norm(0.5, 2.0)),
    laplace_case(0.0, 1.0),
    laplace_case(0.5, 0.01),
    *[
        scipy_case(
            f"student_t-{df}", lambda df=df: p.StudentTPrior(df, 0.5, 0.3), stats.t(df, 0.5, 0.3)
        )
        for df in (0.7, 3.0, 1e3, 1e6)
    ],
    scipy_case("cauchy", lambda: p.CauchyPrior(0.5, 0.01), stats.cauchy(0.5, 0.01)),
    scipy_case("logistic", lambda: p.LogisticPrior(0.5, 0.1), stats.logistic(0.5, 0.1)),
    *[
        scipy_case(
            f"generalized_normal-{k}",
            lambda k=k: p.GeneralizedNormalPrior(0.0, 0.5, k),
            stats.gennorm(k, 0.0, 0.5),
        )
        for k in (0.5, 1.0, 1.5, 2.0, 4.0)
    ],
    scipy_case("uniform", lambda: p.UniformPrior(-1.0, 2.0), stats.uniform(-1.0, 3.0), BOX),
    truncated_case(0.5, 2.0, -1.0, 1.0, BOX),
    truncated_case(0.0, 1.0, 0.0, None, POSITIVE),
    truncated_case(0.0, 1.0, None, 0.5, np.array([1e-30, 1e-3, 0.3, -2.0, -7.0, -1e4])),
    scipy_case("half_normal", lambda: p.HalfNormalPrior(0.3), stats.halfnorm(0.0, 0.3), POSITIVE),
    scipy_case("half_cauchy", lambda: p.HalfCauchyPrior(0.3), stats.halfcauchy(0.0, 0.3), POSITIVE),
    *[
        Case(
            f"half_student_t-{df}",
            lambda df=df: p.HalfStudentTPrior(df, 0.3),
            lambda w, df=df: stats.t(df, 0.0, 0.3).logpdf(w) + np.log(2.0),
            POSITIVE,
            lambda w, df=df: 2.0 * stats.t(df, 0.0, 0.3).cdf(w) - 1.0,
        )
        for df in (3.0, 1e6)
    ],
    scipy_case("exponential", lambda: p.ExponentialPrior(3.0), stats.expon(0.0, 1 / 3.0), POSITIVE),
    *[
        scipy_case(
            f"gamma-{c}-{r}",
            lambda c=c, r=r: p.GammaPrior(c, r),
            stats.gamma(c, 0.0, 1 / r),
            POSITIVE,
        )
        for c, r in ((0.1, 2.0), (1.0, 1.0), (2.5, 0.3), (1e3, 500.0))
    ],
    *[
        scipy_case(
            f"inverse_gamma-{c}-{s}",
            lambda c=c, s=s: p.InverseGammaPrior(c, s),
            stats.invgamma(c, 0.0, s),
            POSITIVE,
        )
        for c, s in ((0.5, 2.0), (3.0, 0.3), (1e3, 500.0))
    ],
    scipy_case(
        "log_normal",
        lambda: p.LogNormalPrior(0.5, 0.8),
        stats.lognorm(0.8, 0.0, np.exp(0.5)),
        POSITIVE,
    ),
    *[
        scipy_case(f"beta-{a}-{b}", lambda a=a, b=b: p.BetaPrior(a, b), stats.beta(a, b), UNIT)
        for a, b in ((0.5, 0.7), (1.0, 1.0), (2.0, 5.0), (1e3, 1e3), (1.0, 500.0))
    ],
    Case(
        "scale_mixture",
        lambda: p.ScaleMixturePrior((0.2, 0.5, 0.3), (1.0, 1e-3, 0.1)),
        mixture((0.2, 0.5, 0.3), (1.0, 1e-3, 0.1))[0],
        REAL,
        mixture((0.2, 0.5, 0.3), (1.0, 1e-3, 0.1))[1],
    ),
    Case(
        "spike_and_slab",
        lambda: p.SpikeAndSlabPrior(0.3, 2.0, 0.01),
        mixture((0.3, 0.7), (2.0, 0.01))[0],
        REAL,
        mixture((0.3, 0.7), (2.0, 0.01))[1],
    ),
    horseshoe_case(1.0),
    horseshoe_case(1e-3),
    regularized_horseshoe_case(0.1, 2.0),
    regularized_horseshoe_case(1e-3, 1.0),
    regularized_horseshoe_case(2.0, 0.5),
    scipy_case(
        "variance_scaling-normal",
        lambda: p.VarianceScalingPrior(3.0),  # of a vector of length 1: fan 1
        stats.norm(0.0, np.sqrt(3.0)),
    ),
]
