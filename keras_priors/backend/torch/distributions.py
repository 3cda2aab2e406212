"""PyTorch: `torch.distributions`."""

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import torch
from torch import distributions as td
from torch.distributions import constraints

from keras_priors.backend.support import Support, box, special_set
from keras_priors.backend.torch import families as own
from keras_priors.backend.torch.described import from_description
from keras_priors.backend.torch.families.from_density import FromDensity

_RENAMED: dict[str, Callable[..., Any]] = {
    # The names and parameters of TFP, in the words of `torch.distributions`.
    "HalfCauchy": lambda scale, loc=0.0: td.HalfCauchy(scale, validate_args=False),
    "InverseGamma": lambda concentration, scale: td.InverseGamma(
        concentration, scale, validate_args=False
    ),
    "Poisson": lambda log_rate=None, rate=None: td.Poisson(
        torch.exp(log_rate) if rate is None else rate, validate_args=False
    ),
    "MultivariateNormalTriL": lambda loc, scale_tril: td.MultivariateNormal(
        loc, scale_tril=scale_tril, validate_args=False
    ),
    "MultivariateNormalDiagPlusLowRank": (
        lambda loc, cov_diag_factor, cov_perturb_factor: td.LowRankMultivariateNormal(
            loc, cov_perturb_factor, cov_diag_factor, validate_args=False
        )
    ),
    "NormalMixture": lambda logits, loc, scale: td.MixtureSameFamily(
        td.Categorical(logits=logits, validate_args=False),
        td.Normal(loc, scale, validate_args=False),
        validate_args=False,
    ),
    "Independent": lambda distribution, ndims: td.Independent(
        distribution, ndims, validate_args=False
    ),
    "GeneralizedNormal": own.GeneralizedNormal,
    "TruncatedNormal": own.TruncatedNormal,
    "HalfStudentT": own.HalfStudentT,
    "Logistic": own.Logistic,
    "Deterministic": own.Deterministic,
    "MatrixNormal": own.MatrixNormal,
    "DirichletMultinomial": own.DirichletMultinomial,
    "NegativeBinomial": lambda total_count, logits: own.NegativeBinomial(
        total_count, logits=logits, validate_args=False
    ),
}


def distributions_module() -> Any:
    return td


def distribution(kind: str, **parameters: Any) -> Any:
    if kind in _RENAMED:
        return _RENAMED[kind](**parameters)
    # `validate_args` reads values, which `torch.func.vmap` forbids; the priors validate.
    return vars(td)[kind](**parameters, validate_args=False)


def distribution_from(
    kind: str,
    parameters: dict[str, Any],
    shape: tuple[int, ...],
    log_prob: Callable[[Any], Any],
    draw: Callable[[Any, Any], Any],
) -> Any:
    if kind in vars(td):
        return distribution(kind, **parameters)
    return FromDensity(kind, shape, log_prob, draw)


def is_distribution(value: Any) -> bool:
    return isinstance(value, td.Distribution)


def distribution_class(name: str) -> type:
    found = vars(own).get(name, vars(td).get(name))
    if not (isinstance(found, type) and issubclass(found, td.Distribution)):
        raise ValueError(
            "Only distribution classes of `torch.distributions` can be loaded. "
            f"Received: class name {name!r}. Load the file on TensorFlow or JAX if their library "
            "has the class; else use a class of this one, or write a `keras_priors.Prior` of "
            "your own."
        )
    return found


def described_distribution(value: Any) -> tuple[str, dict[str, Any]]:
    own_type = type(value)
    name = own_type.__name__
    if distribution_class(name) != own_type:
        raise ValueError(f"{own_type} is not {name} of `torch.distributions`")
    if isinstance(value, td.Independent):
        return name, {
            "base_distribution": value.base_dist,
            "reinterpreted_batch_ndims": value.reinterpreted_batch_ndims,
        }
    if isinstance(value, td.MixtureSameFamily):
        return name, {
            "mixture_distribution": value.mixture_distribution,
            "component_distribution": value.component_distribution,
        }
    if name == "TransformedDistribution":
        return name, {"base_distribution": value.base_dist, "transforms": value.transforms}
    names = [*value.arg_constraints, *_NOT_CONSTRAINED.get(name, ())]
    if "scale_tril" in names:
        names = [key for key in names if key not in ("covariance_matrix", "precision_matrix")]
    if "logits" in names:  # reading another one stores it beside
        names.remove("probs" if "logits" in vars(value) else "logits")
    return name, {key: getattr(value, key) for key in names}


# Parameters that are not in `arg_constraints`.
_NOT_CONSTRAINED = {
    "LKJCholesky": ("dim",),
    "RelaxedBernoulli": ("temperature",),
    "RelaxedOneHotCategorical": ("temperature",),
}


def build_described(name: str, parameters: dict[str, Any], checked: bool) -> Any:
    # `validate_args` reads values, which `torch.func.vmap` forbids; the priors check the support.
    return from_description(distribution_class, name, parameters, checked)


_INTERVALS = (
    type(constraints.real),
    constraints.interval,
    constraints.half_open_interval,
    constraints.greater_than,
    constraints.greater_than_eq,
    constraints.less_than,
)
_SETS = {
    type(constraints.simplex): "simplex",
    type(constraints.corr_cholesky): "Cholesky factor of a correlation",
    type(constraints.positive_definite): "positive definite",
}


def support(value: Any) -> Support | None:
    constraint = value.support
    # torch calls a point mass a distribution over the real line.
    if constraint.is_discrete or isinstance(value, own.Deterministic):
        return None
    while isinstance(constraint, constraints.independent):
        constraint = constraint.base_constraint
    shape = (*value.batch_shape, *value.event_shape)
    if isinstance(value, td.VonMises):
        # torch says the real line, over which this density has no integral. Draws are of here.
        return box(-math.pi, math.pi, shape)
    if isinstance(constraint, _INTERVALS):
        ends = vars(constraint)
        low, high = ends.get("lower_bound", -np.inf), ends.get("upper_bound", np.inf)
        return box(keras.ops.convert_to_numpy(low), keras.ops.convert_to_numpy(high), shape)
    if type(constraint) in _SETS:
        return special_set(_SETS[type(constraint)], tuple(value.event_shape))
    raise NotImplementedError(f"its constraint is {constraint}")


def expand(value: Any, batch_shape: tuple[int, ...]) -> Any:
    return value.expand(batch_shape)


def kl_divergence(q: Any, p: Any) -> Any:
    return td.kl_divergence(q, p)


def mean(value: Any) -> Any:
    return value.mean


def variance(value: Any) -> Any:
    return value.variance


def sample(value: Any, shape: tuple[int, ...], seed: Any) -> Any:
    words = keras.ops.convert_to_numpy(seed).astype("uint64")
    # torch.distributions take no generator: seed the global one, and put it back afterwards.
    with torch.random.fork_rng():
        torch.manual_seed(int(words[0]) << 31 ^ int(words[1]))
        return value.sample(shape)


def bijector(low: Any, high: Any) -> tuple[Any, Any, Any]:
    if low is not None and high is not None:
        parts = [td.SigmoidTransform(), td.AffineTransform(low, high - low)]
    elif low is not None:
        parts = [td.ExpTransform(), td.AffineTransform(low, 1.0)]
    else:
        parts = [td.ExpTransform(), td.AffineTransform(high, -1.0)]
    both = td.ComposeTransform(parts)
    return both, both.inv, lambda z: both.log_abs_det_jacobian(z, both(z))
