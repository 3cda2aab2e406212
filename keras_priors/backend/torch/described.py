"""From a description in neutral words to a distribution of torch."""

from collections.abc import Callable
from typing import Any

import torch
from torch import distributions as td

from keras_priors.backend.torch import families as own


def from_description(
    find: Callable[[str], type], name: str, parameters: dict[str, Any], checked: bool
) -> Any:
    """The distribution; `find` looks up the classes that torch calls as we do."""
    make = _OTHERWISE.get(name) or find(name)
    found = base = make(**parameters, validate_args=checked)
    while not checked and isinstance(base, td.TransformedDistribution):
        # Some classes do not hand the argument on.
        base = base.base_dist
        base._validate_args = False
    return found


def _half_cauchy(scale: Any, loc: Any, validate_args: bool) -> Any:
    if bool(torch.any(torch.as_tensor(loc) != 0.0)):
        raise ValueError("torch's HalfCauchy begins at 0, and has no loc")
    return td.HalfCauchy(scale, validate_args=validate_args)


def _gamma(
    concentration: Any, rate: Any = None, log_rate: Any = None, validate_args: bool = False
) -> Any:
    rate = torch.exp(log_rate) if rate is None else rate
    return td.Gamma(concentration, rate, validate_args=validate_args)


def _diagonal_normal(loc: Any, scale_diag: Any = None, validate_args: bool = False) -> Any:
    scale_diag = torch.ones_like(loc) if scale_diag is None else scale_diag
    # One of the two may have fewer axes.
    loc, scale_diag = torch.broadcast_tensors(loc, scale_diag)
    return td.MultivariateNormal(
        loc, scale_tril=torch.diag_embed(scale_diag), validate_args=validate_args
    )


def _batch_broadcast(
    distribution: Any, validate_args: bool, with_shape: Any = None, to_shape: Any = None
) -> Any:
    shape = tuple(with_shape if to_shape is None else to_shape)
    return distribution.expand(torch.broadcast_shapes(shape, distribution.batch_shape))


_OTHERWISE: dict[str, Callable[..., Any]] = {
    "BatchBroadcast": _batch_broadcast,
    "CholeskyLKJ": lambda dimension, concentration, validate_args: td.LKJCholesky(
        dimension, concentration, validate_args=validate_args
    ),
    "Gamma": _gamma,
    "HalfCauchy": _half_cauchy,
    "Independent": lambda distribution, reinterpreted_batch_ndims, validate_args: td.Independent(
        distribution, reinterpreted_batch_ndims, validate_args=validate_args
    ),
    "InverseGamma": lambda concentration, scale, validate_args: td.InverseGamma(
        concentration, scale, validate_args=validate_args
    ),
    "MatrixNormal": own.MatrixNormal,
    "MixtureSameFamily": (
        lambda mixture_distribution, components_distribution, validate_args: td.MixtureSameFamily(
            mixture_distribution, components_distribution, validate_args=validate_args
        )
    ),
    "MultivariateNormalDiag": _diagonal_normal,
    "MultivariateNormalDiagPlusLowRankCovariance": (
        lambda loc, cov_diag_factor, cov_perturb_factor, validate_args: (
            td.LowRankMultivariateNormal(
                loc, cov_perturb_factor, cov_diag_factor, validate_args=validate_args
            )
        )
    ),
    "MultivariateNormalFullCovariance": (
        lambda loc, covariance_matrix, validate_args: td.MultivariateNormal(
            loc, covariance_matrix, validate_args=validate_args
        )
    ),
    "MultivariateNormalTriL": lambda loc, scale_tril, validate_args: td.MultivariateNormal(
        loc, scale_tril=scale_tril, validate_args=validate_args
    ),
    "Pareto": lambda scale, concentration, validate_args: td.Pareto(
        scale, concentration, validate_args=validate_args
    ),
    "WishartTriL": lambda df, scale_tril, validate_args: td.Wishart(
        df, scale_tril=scale_tril, validate_args=validate_args
    ),
}
