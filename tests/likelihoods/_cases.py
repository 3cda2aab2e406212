"""The table: every likelihood, outputs, targets, and SciPy's log densities of their elements."""

from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import scipy.special as sp
from scipy import stats

from keras_priors import likelihoods

N, D = 6, 3


def softplus(x):
    return np.logaddexp(0.0, x)


@dataclass
class Case:
    """A likelihood with outputs (N, k) and targets, in float64.

    `logpdf(y, outputs)` is the oracle, one value for each observation; `outside` holds values of
    a target that have no density.
    """

    name: str
    likelihood: Any
    outputs: Any
    y: Any
    logpdf: Any
    outside: tuple = ()
    extremes: tuple = (-1e4, 1e4)
    moments: bool = field(default=True)

    def __repr__(self):
        return self.name


def _cases():
    rng = np.random.default_rng(0)
    f, y = rng.normal(size=(N, D)), rng.normal(size=(N, D))
    f2 = rng.normal(size=(N, 2 * D))
    counts = rng.integers(0, 12, size=(N, D)).astype("float64")
    bits = rng.integers(0, 2, size=(N, D)).astype("float64")
    logits = rng.normal(size=(N, 5))
    classes = rng.integers(0, 5, size=N)
    scales, dfs = np.array([0.5, 1.0, 3.0]), np.array([2.5, 4.0, 30.0])
    sizes = np.array([0.7, 2.0, 50.0])

    def total(element):
        return lambda y, o: element(y, o).sum(axis=-1)

    def hetero(y, o):
        return stats.norm.logpdf(y, o[..., :D], 1e-6 + softplus(o[..., D:])).sum(-1)

    def t_of_both(y, o):
        return stats.t.logpdf(y, 2 * dfs, o[..., :D], 1e-6 + softplus(o[..., D:])).sum(-1)

    def laplace_of_both(y, o):
        return stats.laplace.logpdf(y, o[..., :D], 1e-6 + softplus(o[..., D:])).sum(-1)

    def counts_of_both(y, o):
        r = 1 / (1e-6 + softplus(o[..., D:]))
        return stats.nbinom.logpmf(y, r, r / (r + np.exp(o[..., :D]))).sum(-1)

    def beta(y, o):
        k, m = softplus(o[..., D:]), sp.expit(o[..., :D])
        return stats.beta.logpdf(y, 1e-6 + k * m, 1e-6 + k * (1 - m)).sum(-1)

    def negative_binomial(r):
        return total(lambda y, o: stats.nbinom.logpmf(y, r, r / (r + np.exp(o))))

    def categorical(y, o):
        return np.take_along_axis(sp.log_softmax(o, -1), y.astype(int)[..., None], -1)[..., 0]

    normal = total(lambda y, o: stats.norm.logpdf(y, o))
    t = total(lambda y, o: stats.t.logpdf(y, 4.0, o, 2.0))
    real = (np.nan, np.inf)
    natural = (-1.0, 0.5, np.nan, np.inf)
    lk = likelihoods
    return [
        Case("normal", lk.Normal(), f, y, normal, real),
        Case(
            "normal-scales",
            lk.Normal(scales),
            f,
            y,
            total(lambda y, o: stats.norm.logpdf(y, o, scales)),
            real,
        ),
        Case("heteroscedastic", lk.HeteroscedasticNormal(), f2, y, hetero, real),
        Case("student-t", lk.StudentT(4.0, 2.0), f, y, t, real),
        Case(
            "student-t-vectors",
            lk.StudentT(dfs, scales),
            f,
            y,
            total(lambda y, o: stats.t.logpdf(y, dfs, o, scales)),
            real,
        ),
        Case(
            "cauchy",
            lk.StudentT(1.0),
            f,
            y,
            total(lambda y, o: stats.cauchy.logpdf(y, o)),
            real,
            moments=False,
        ),
        Case(
            "student-t-1e6",
            lk.StudentT(1e6),
            f,
            y,
            total(lambda y, o: stats.t.logpdf(y, 1e6, o)),
            real,
        ),
        Case(
            "laplace",
            lk.Laplace(scales),
            f,
            y,
            total(lambda y, o: stats.laplace.logpdf(y, o, scales)),
            real,
        ),
        Case("student-t-of-both", lk.StudentT(2 * dfs, scale=None), f2, y, t_of_both, real),
        Case("laplace-of-both", lk.Laplace(scale=None), f2, y, laplace_of_both, real),
        Case(
            "bernoulli",
            lk.Bernoulli(),
            f,
            bits,
            total(lambda y, o: stats.bernoulli.logpmf(y, sp.expit(o))),
            (0.5, 2.0, -1.0, np.nan),
        ),
        Case(
            "bernoulli-probs",
            lk.Bernoulli(from_logits=False),
            sp.expit(f),
            bits,
            total(lambda y, o: stats.bernoulli.logpmf(y, o)),
            (0.5, 2.0, np.nan),
            (0.0, 1.0),
        ),
        Case(
            "categorical", lk.Categorical(), logits, classes, categorical, (-1.0, 5.0, 0.5, np.nan)
        ),
        Case(
            "categorical-probs",
            lk.Categorical(from_logits=False),
            sp.softmax(logits, -1),
            classes,
            lambda y, o: categorical(y, np.log(o)),
            (-1.0, 5.0, 0.5, np.nan),
            (0.2,),
        ),
        Case(
            "poisson",
            lk.Poisson(),
            f,
            counts,
            total(lambda y, o: stats.poisson.logpmf(y, np.exp(o))),
            natural,
            (-1e4, 80.0),
        ),
        Case(
            "poisson-rate",
            lk.Poisson(from_log_rate=False),
            np.exp(f),
            counts,
            total(lambda y, o: stats.poisson.logpmf(y, o)),
            natural,
            (0.0, 1e4),
        ),
        Case(
            "negative-binomial",
            lk.NegativeBinomial(2.0),
            f,
            counts,
            negative_binomial(2.0),
            natural,
        ),
        Case(
            "negative-binomial-sizes",
            lk.NegativeBinomial(sizes),
            f,
            counts,
            negative_binomial(sizes),
            natural,
        ),
        Case(
            "negative-binomial-of-both",
            lk.NegativeBinomial(total_count=None),
            f2,
            counts,
            counts_of_both,
            natural,
        ),
        Case(
            "beta",
            lk.Beta(),
            f2,
            rng.uniform(0.05, 0.95, size=(N, D)),
            beta,
            (0.0, 1.0, -0.5, 1.5, np.nan),
        ),
    ]


CASES = _cases()
BY_NAME = {case.name: case for case in CASES}


def f32(value):
    return np.asarray(value, "float32")


def numpy(value):
    return keras.ops.convert_to_numpy(value)


def gradient(function, x):
    """Gradient of the sum of `function(x)` with respect to the array x, in float32."""
    x, backend = f32(x), keras.backend.backend()
    if backend == "jax":
        import jax

        return np.asarray(jax.grad(lambda o: function(o).sum())(x))
    if backend == "torch":
        import torch

        o = torch.tensor(x, requires_grad=True)
        function(o).sum().backward()
        return o.grad.numpy()
    import tensorflow as tf

    o = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(o)
        result = tf.reduce_sum(function(o))
    return tape.gradient(result, o).numpy()
