"""Posteriors with parameters off their start, and what these parameters say, in numpy."""

import keras
import numpy as np
import scipy.stats

from keras_priors import posteriors
from tests.posteriors._calculus import as_numpy

SHAPE = (3, 2)

FAMILIES = {
    "mean_field": posteriors.MeanFieldNormal(),
    "delta": posteriors.Delta(),
    "low_rank_1": posteriors.LowRankNormal(),
    "low_rank_3": posteriors.LowRankNormal(rank=3),
    "full": posteriors.FullNormal(),
    "matrix_normal": posteriors.MatrixNormal(),
    "log_normal": posteriors.LogNormal(),
}
SPREAD = [name for name in FAMILIES if name != "delta"]
NORMAL = [name for name in SPREAD if name != "log_normal"]


def build(posterior, shape=SHAPE, dtype="float32", initializer=None):
    """A built copy of `posterior` outside of any layer, and its variables by name."""
    variables = {}

    def add_weight(part, part_shape, init):
        variables[part] = keras.Variable(init, shape=part_shape, dtype=dtype, name=part)
        return variables[part]

    posterior = posterior.copy()
    initializer = keras.initializers.RandomNormal(seed=0) if initializer is None else initializer
    posterior.build(add_weight, shape, initializer)
    return posterior, variables


def scatter(variables, seed=0):
    """Give the variables arbitrary values: means around 0, scales around 0.5."""
    rng = np.random.default_rng(seed)
    for part, variable in variables.items():
        shape = tuple(variable.shape)
        value = rng.normal(0.0, 0.4, shape)
        if part in ("rho", "scale_tril", "scale_row", "scale_column"):
            scale = rng.uniform(0.25, 0.9, shape)
            raw = scale + np.log(-np.expm1(-scale))
            value = raw if part == "rho" else np.where(np.eye(len(value)) > 0, raw, value)
        variable.assign(value.astype("float32"))


def make(name, shape=SHAPE, dtype="float32", seed=0):
    posterior, variables = build(FAMILIES[name], shape, dtype)
    scatter(variables, seed)
    return posterior, variables


def softplus(x):
    return np.logaddexp(0.0, x)


def lower(raw):
    """The lower-triangular matrix that a square variable stands for."""
    return np.tril(raw, -1) + np.diag(softplus(np.diag(raw)))


def normal_parameters(family, raw):
    """Mean and covariance of the flattened weight (of its logarithm for the log-normal)."""
    loc = raw["loc"].reshape(-1)
    if family == "delta":
        return loc, np.zeros((loc.size, loc.size))
    if family in ("mean_field", "log_normal"):
        return loc, np.diag(softplus(raw["rho"]).reshape(-1) ** 2)
    if family.startswith("low_rank"):
        factor = raw["factor"].reshape(len(raw["factor"]), -1)
        return loc, np.diag(softplus(raw["rho"]).reshape(-1) ** 2) + factor.T @ factor
    if family == "full":
        scale = lower(raw["scale_tril"])
        return loc, scale @ scale.T
    row, column = lower(raw["scale_row"]), lower(raw["scale_column"])
    # Row-major flattening: the row index moves slowly.
    return loc, np.kron(row @ row.T, column @ column.T)


def moments(family, raw):
    """Mean and covariance of the flattened weight itself."""
    loc, covariance = normal_parameters(family, raw)
    if family != "log_normal":
        return loc, covariance
    mean = np.exp(loc + 0.5 * np.diag(covariance))
    return mean, np.expm1(covariance) * np.outer(mean, mean)


def raw_values(variables):
    return {part: as_numpy(variable) for part, variable in variables.items()}


def scipy_log_prob(family, raw, w):
    """log q(w), from SciPy."""
    loc, covariance = normal_parameters(family, raw)
    if family == "log_normal":
        scale = np.sqrt(np.diag(covariance))
        return scipy.stats.lognorm.logpdf(w.reshape(-1), s=scale, scale=np.exp(loc)).sum()
    if family == "matrix_normal":
        row, column = lower(raw["scale_row"]), lower(raw["scale_column"])
        law = scipy.stats.matrix_normal(raw["loc"], row @ row.T, column @ column.T)
        return law.logpdf(w)
    return scipy.stats.multivariate_normal(loc, covariance).logpdf(w.reshape(-1))


def scipy_entropy(family, raw):
    """H(q), from SciPy."""
    loc, covariance = normal_parameters(family, raw)
    if family == "log_normal":
        scale = np.sqrt(np.diag(covariance))
        return scipy.stats.lognorm(s=scale, scale=np.exp(loc)).entropy().sum()
    return scipy.stats.multivariate_normal(loc, covariance).entropy()
