"""Distributions of the libraries with their densities from SciPy, and points outside of them."""

import dataclasses
from collections.abc import Callable

import keras
import numpy as np
from keras import ops
from scipy import special, stats

from keras_priors import backend
from keras_priors import priors as p

TORCH = keras.backend.backend() == "torch"


def tensor(value):
    return ops.convert_to_tensor(np.asarray(value, "float32"))


def native(name, **parameters):
    """A distribution by its neutral description; plain numbers and lists become tensors."""
    given = {
        key: tensor(value)
        if isinstance(value, float | list | np.ndarray) and not _holds_distributions(value)
        else value
        for key, value in parameters.items()
    }
    return backend.build_described(name, given, False)


def _holds_distributions(value):
    return isinstance(value, list) and any(backend.is_distribution(part) for part in value)


@dataclasses.dataclass(frozen=True)
class NativeCase:
    """A distribution, its log density of each event, weights inside and outside."""

    name: str
    make: Callable
    logpdf: Callable
    inside: np.ndarray
    outside: list
    support: tuple = (-np.inf, np.inf)
    is_box: bool = True

    def __repr__(self):
        return self.name

    def prior(self):
        return p.DistributionPrior(self.make(), num_data=3)


def unit(name, make, logpdf, **more):
    points = np.array([0.01, 0.3, 0.5, 0.9, 0.99])
    outside = [-0.1, -1e4, 1.1, 1e4]
    return NativeCase(name, make, logpdf, points, outside, (0.0, 1.0), **more)


def positive(name, make, logpdf, low=0.0, points=(0.1, 0.5, 1.0, 3.0), **more):
    points = low + np.asarray(points)
    return NativeCase(name, make, logpdf, points, [low - 0.1, low - 1e4], (low, np.inf), **more)


def between(name, make, logpdf, low, high, **more):
    points = low + (high - low) * np.array([0.02, 0.3, 0.5, 0.97])
    outside = [low - 0.01, low - 1e4, high + 0.01, high + 1e4]
    return NativeCase(name, make, logpdf, points, outside, (low, high), **more)


def real(name, make, logpdf, points=(-3.0, -0.2, 0.4, 2.0), **more):
    return NativeCase(name, make, logpdf, np.array(points), [], **more)


def truncated_cauchy(w):
    frozen = stats.cauchy(0.5, 2.0)
    return frozen.logpdf(w) - np.log(frozen.cdf(3.0) - frozen.cdf(-1.0))


def continuous_bernoulli(w):
    rate = 0.3
    constant = np.log(2.0 * np.arctanh(1.0 - 2.0 * rate) / (1.0 - 2.0 * rate))
    return constant + special.xlogy(w, rate) + special.xlog1py(1.0 - w, -rate)


def relaxed_bernoulli(w):
    temperature, rate = 0.7, 0.3
    centred = temperature * special.logit(w) - special.logit(rate)
    return stats.logistic.logpdf(centred) + np.log(temperature) - np.log(w) - np.log1p(-w)


def matrix(r):
    return np.array([[1.0, 0.0], [r, np.sqrt(1.0 - r * r)]])


def lkj(w):
    return stats.beta(1.5, 1.5).logpdf(0.5 * (w[..., 1, 0] + 1.0)) - np.log(2.0)


def log_mean(*terms):
    return special.logsumexp(terms, axis=0) - np.log(len(terms))


TRIL = np.array([[1.0, 0.0], [0.5, 0.8]])
LOC = np.array([0.1, -0.2])
BITS = np.array([1.0, 2.0])
CHOOSE = {"logits": [0.0, 0.0]}


def same_family(components):
    return native(
        "MixtureSameFamily",
        mixture_distribution=native("Categorical", **CHOOSE),
        components_distribution=components,
    )


def mixture(*components):
    return native("Mixture", cat=native("Categorical", **CHOOSE), components=list(components))


def independent(distribution):
    return native("Independent", distribution=distribution, reinterpreted_batch_ndims=1)


BOTH = [
    unit("Beta", lambda: native("Beta", concentration1=2.0, concentration0=0.5),
         stats.beta(2.0, 0.5).logpdf),
    real("Cauchy", lambda: native("Cauchy", loc=0.5, scale=2.0), stats.cauchy(0.5, 2.0).logpdf),
    positive("Chi2", lambda: native("Chi2", df=3.0), stats.chi2(3.0).logpdf),
    unit("ContinuousBernoulli", lambda: native("ContinuousBernoulli", probs=0.3),
         continuous_bernoulli),
    positive("Exponential", lambda: native("Exponential", rate=2.0), stats.expon(0, 0.5).logpdf),
    positive("Gamma", lambda: native("Gamma", concentration=0.5, rate=2.0),
             stats.gamma(0.5, 0, 0.5).logpdf),
    real("GeneralizedNormal", lambda: native("GeneralizedNormal", loc=0.5, scale=2.0, power=1.5),
         stats.gennorm(1.5, 0.5, 2.0).logpdf),
    positive("GeneralizedPareto",
             lambda: native("GeneralizedPareto", loc=1.0, scale=2.0, concentration=0.5),
             stats.genpareto(0.5, 1.0, 2.0).logpdf, low=1.0),
    between("GeneralizedPareto-bounded",
            lambda: native("GeneralizedPareto", loc=1.0, scale=2.0, concentration=-0.5),
            stats.genpareto(-0.5, 1.0, 2.0).logpdf, 1.0, 5.0),
    real("Gumbel", lambda: native("Gumbel", loc=0.5, scale=2.0), stats.gumbel_r(0.5, 2.0).logpdf),
    positive("HalfCauchy", lambda: native("HalfCauchy", loc=0.0, scale=2.0),
             stats.halfcauchy(0.0, 2.0).logpdf),
    positive("HalfNormal", lambda: native("HalfNormal", scale=2.0), stats.halfnorm(0, 2.0).logpdf),
    positive("HalfStudentT", lambda: native("HalfStudentT", df=3.0, loc=0.5, scale=2.0),
             lambda w: stats.t(3.0, 0.5, 2.0).logpdf(w) + np.log(2.0), low=0.5),
    positive("InverseGamma", lambda: native("InverseGamma", concentration=2.0, scale=0.5),
             stats.invgamma(2.0, 0.0, 0.5).logpdf),
    unit("Kumaraswamy", lambda: native("Kumaraswamy", concentration1=2.0, concentration0=0.5),
         lambda w: np.log(w) - 0.5 * np.log1p(-(w**2))),
    real("Laplace", lambda: native("Laplace", loc=0.5, scale=2.0), stats.laplace(0.5, 2.0).logpdf),
    positive("LogNormal", lambda: native("LogNormal", loc=0.5, scale=2.0),
             stats.lognorm(2.0, 0.0, np.exp(0.5)).logpdf),
    real("Logistic", lambda: native("Logistic", loc=0.5, scale=2.0),
         stats.logistic(0.5, 2.0).logpdf),
    real("Normal", lambda: native("Normal", loc=LOC, scale=2.0),
         lambda w: stats.norm(LOC, 2.0).logpdf(w), ((-3.0, 0.4), (0.1, 2.0))),
    positive("Pareto", lambda: native("Pareto", concentration=3.0, scale=1.5),
             stats.pareto(3.0, 0.0, 1.5).logpdf, low=1.5),
    unit("RelaxedBernoulli", lambda: native("RelaxedBernoulli", temperature=0.7, probs=0.3),
         relaxed_bernoulli),
    real("StudentT", lambda: native("StudentT", df=3.0, loc=0.5, scale=2.0),
         stats.t(3.0, 0.5, 2.0).logpdf),
    between("TruncatedNormal",
            lambda: native("TruncatedNormal", loc=0.5, scale=2.0, low=-1.0, high=3.0),
            stats.truncnorm(-0.75, 1.25, 0.5, 2.0).logpdf, -1.0, 3.0),
    positive("TruncatedNormal-above",
             lambda: native("TruncatedNormal", loc=0.0, scale=1.0, low=-1.0, high=np.inf),
             stats.truncnorm(-1.0, np.inf).logpdf, low=-1.0),
    between("Uniform", lambda: native("Uniform", low=-1.0, high=3.0),
            stats.uniform(-1.0, 4.0).logpdf, -1.0, 3.0),
    between("VonMises", lambda: native("VonMises", loc=0.5, concentration=2.0),
            stats.vonmises(2.0, 0.5).logpdf, -np.pi, np.pi),
    positive("Weibull", lambda: native("Weibull", concentration=1.5, scale=2.0),
             stats.weibull_min(1.5, 0.0, 2.0).logpdf),
    NativeCase("Dirichlet", lambda: native("Dirichlet", concentration=[2.0, 0.5, 3.0]),
               lambda w: np.array([stats.dirichlet([2.0, 0.5, 3.0]).logpdf(v) for v in w]),
               np.array([[0.25, 0.25, 0.5], [0.125, 0.375, 0.5]]),
               [[0.3, 0.2, 0.6], [-0.25, 0.75, 0.5], [7.0, 8.0, 9.0]], (0.0, 1.0), is_box=False),
    NativeCase("RelaxedOneHotCategorical",
               lambda: native("RelaxedOneHotCategorical", temperature=1.0, logits=[0.0, 0.0, 0.0]),
               lambda w: np.log(2.0) - 2.0 * np.log(w).sum(-1) - 3.0 * np.log((1.0 / w).sum(-1)),
               np.array([[0.25, 0.25, 0.5], [0.125, 0.375, 0.5]]),
               [[0.3, 0.2, 0.6], [-0.25, 0.75, 0.5]], (0.0, 1.0), is_box=False),
    NativeCase("CholeskyLKJ", lambda: native("CholeskyLKJ", dimension=2, concentration=1.5), lkj,
               np.array([matrix(0.3), matrix(-0.8)]),
               [np.eye(2) + 0.1, np.zeros((2, 2)), -matrix(0.5)], (-1.0, 1.0), is_box=False),
    NativeCase("WishartTriL", lambda: native("WishartTriL", df=4.0, scale_tril=TRIL),
               lambda w: np.array([stats.wishart(4.0, TRIL @ TRIL.T).logpdf(v) for v in w]),
               np.array([np.eye(2), [[2.0, 0.5], [0.5, 1.0]]]),
               [-np.eye(2), [[1.0, 2.0], [2.0, 1.0]], [[1.0, 0.5], [0.0, 1.0]]], is_box=False),
    real("MultivariateNormalTriL", lambda: native("MultivariateNormalTriL", loc=LOC,
                                                  scale_tril=TRIL),
         stats.multivariate_normal(LOC, TRIL @ TRIL.T).logpdf, ((-3.0, 0.4), (0.1, 2.0))),
    real("MultivariateNormalDiagPlusLowRankCovariance",
         lambda: native("MultivariateNormalDiagPlusLowRankCovariance", loc=LOC,
                        cov_diag_factor=BITS, cov_perturb_factor=[[0.5], [1.0]]),
         stats.multivariate_normal(LOC, [[1.25, 0.5], [0.5, 3.0]]).logpdf,
         ((-3.0, 0.4), (0.1, 2.0))),
    real("MatrixNormal", lambda: native("MatrixNormal", loc=np.zeros((2, 2)), scale_row=TRIL,
                                        scale_column=TRIL),
         stats.matrix_normal(None, TRIL @ TRIL.T, TRIL @ TRIL.T).logpdf,
         ((-3.0, 0.4), (0.1, 2.0))),
    positive("Independent", lambda: independent(native("Gamma", concentration=BITS, rate=BITS)),
             lambda w: stats.gamma(BITS, 0.0, 1.0 / BITS).logpdf(w).sum(-1),
             points=((0.3, 1.0), (2.0, 0.1))),
    positive("MixtureSameFamily",
             lambda: same_family(native("Gamma", concentration=BITS, rate=BITS)),
             lambda w: log_mean(stats.gamma(1).logpdf(w), stats.gamma(2, 0, 0.5).logpdf(w))),
    NativeCase("MixtureSameFamily-gap",
               lambda: same_family(native("Uniform", low=[0.0, 2.0], high=[1.0, 3.0])),
               lambda w: np.full(np.shape(w), -np.log(2.0)), np.array([0.1, 0.9, 2.5]),
               [-0.1, 1.5, 3.1], (0.0, 3.0), is_box=False),
]  # fmt: skip

TFP_ONLY = [
    between("TruncatedCauchy",
            lambda: native("TruncatedCauchy", loc=0.5, scale=2.0, low=-1.0, high=3.0),
            truncated_cauchy, -1.0, 3.0),
    between("Triangular", lambda: native("Triangular", low=-1.0, high=3.0, peak=0.0),
            stats.triang(0.25, -1.0, 4.0).logpdf, -1.0, 3.0),
    between("PERT", lambda: native("PERT", low=-1.0, peak=0.0, high=3.0),
            stats.beta(2.0, 4.0, -1.0, 4.0).logpdf, -1.0, 3.0),
    positive("GeneralizedExtremeValue",
             lambda: native("GeneralizedExtremeValue", loc=0.0, scale=1.0, concentration=0.5),
             stats.genextreme(-0.5).logpdf, low=-2.0, points=(0.5, 1.0, 3.0)),
    positive("Chi", lambda: native("Chi", df=3.0), stats.chi(3.0).logpdf),
    positive("HalfCauchy-loc", lambda: native("HalfCauchy", loc=1.0, scale=2.0),
             stats.halfcauchy(1.0, 2.0).logpdf, low=1.0),
    positive("InverseGaussian", lambda: native("InverseGaussian", loc=0.5, concentration=2.0),
             stats.invgauss(0.25, 0.0, 2.0).logpdf),
    positive("GammaGamma", lambda: native("GammaGamma", concentration=2.0,
                                          mixing_concentration=3.0, mixing_rate=0.5),
             stats.betaprime(2.0, 3.0, 0.0, 0.5).logpdf),
    positive("LogLogistic", lambda: native("LogLogistic", loc=0.5, scale=0.3),
             stats.fisk(1.0 / 0.3, 0.0, np.exp(0.5)).logpdf),
    unit("LogitNormal", lambda: native("LogitNormal", loc=0.5, scale=2.0),
         lambda w: stats.norm(0.5, 2.0).logpdf(special.logit(w)) - np.log(w) - np.log1p(-w)),
    real("ExpGamma", lambda: native("ExpGamma", concentration=2.0, rate=0.5),
         stats.loggamma(2.0, np.log(2.0)).logpdf),
    real("JohnsonSU", lambda: native("JohnsonSU", skewness=0.5, tailweight=2.0, loc=0.0,
                                     scale=1.0), stats.johnsonsu(0.5, 2.0).logpdf),
    positive("Sample", lambda: native("Sample", distribution=native("Gamma", concentration=BITS,
                                                                    rate=BITS), sample_shape=(2,)),
             lambda w: stats.gamma(BITS[:, None], 0.0, 1.0 / BITS[:, None]).logpdf(w).sum(-1),
             points=((0.3, 1.0), (2.0, 0.1))),
    positive("BatchBroadcast", lambda: native("BatchBroadcast", distribution=native(
                 "Chi2", df=3.0), with_shape=(2,)),
             stats.chi2(3.0).logpdf, points=((0.3, 1.0), (2.0, 0.1))),
    NativeCase("VonMisesFisher",
               lambda: native("VonMisesFisher", mean_direction=[0.0, 0.0, 1.0], concentration=2.0),
               lambda w: 2.0 * w[..., 2] + np.log(2.0 / (4.0 * np.pi * np.sinh(2.0))),
               np.array([[0.6, 0.0, 0.8], [0.0, -0.6, -0.8]]), [[1.0, 1.0, 1.0], np.zeros(3)],
               (-1.0, 1.0), is_box=False),
    NativeCase("LKJ", lambda: native("LKJ", dimension=2, concentration=1.5), lkj,
               np.array([[[1.0, 0.3], [0.3, 1.0]]]),
               [2.0 * np.eye(2), [[1.0, 1.5], [1.5, 1.0]]], (-1.0, 1.0), is_box=False),
    real("Mixture", lambda: mixture(native("Gamma", concentration=2.0, rate=1.0),
                                    native("Normal", loc=0.0, scale=1.0)),
         lambda w: log_mean(stats.gamma(2.0).logpdf(w), stats.norm.logpdf(w))),
    NativeCase("Mixture-overlap", lambda: mixture(native("Uniform", low=0.0, high=2.0),
                                                  native("Exponential", rate=1.0)),
               lambda w: log_mean(stats.uniform(0.0, 2.0).logpdf(w), stats.expon.logpdf(w)),
               np.array([0.5, 1.5, 4.0]), [-0.1, -1e4], (0.0, np.inf)),
]  # fmt: skip

TORCH_ONLY = [
    positive("FisherSnedecor", lambda: native("FisherSnedecor", df1=3.0, df2=5.0),
             stats.f(3.0, 5.0).logpdf),
    NativeCase("LogisticNormal", lambda: native("LogisticNormal", loc=LOC, scale=BITS),
               None, np.array([[0.25, 0.25, 0.5], [0.125, 0.375, 0.5]]),
               [[0.3, 0.2, 0.6], [-0.25, 0.75, 0.5]], (0.0, 1.0), is_box=False),
]  # fmt: skip

CASES = BOTH + (TORCH_ONLY if TORCH else TFP_ONLY)
