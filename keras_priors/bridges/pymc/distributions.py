"""Priors as distributions of PyMC."""

from __future__ import annotations

from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from keras import ops

from keras_priors import priors
from keras_priors.bridges.pymc.tensor_function import tensor_function

# By prior: PyMC's distribution, and for each of its parameters the attribute that has it.
_NAMED: dict[type, tuple[str, dict[str, str]]] = {
    priors.BetaPrior: ("Beta", {"alpha": "concentration1", "beta": "concentration0"}),
    priors.CauchyPrior: ("Cauchy", {"alpha": "loc", "beta": "scale"}),
    priors.ExponentialPrior: ("Exponential", {"lam": "rate"}),
    priors.GammaPrior: ("Gamma", {"alpha": "concentration", "beta": "rate"}),
    priors.HalfCauchyPrior: ("HalfCauchy", {"beta": "scale"}),
    priors.HalfNormalPrior: ("HalfNormal", {"sigma": "scale"}),
    priors.HalfStudentTPrior: ("HalfStudentT", {"nu": "df", "sigma": "scale"}),
    priors.InverseGammaPrior: ("InverseGamma", {"alpha": "concentration", "beta": "scale"}),
    priors.LaplacePrior: ("Laplace", {"mu": "loc", "b": "scale"}),
    priors.LogNormalPrior: ("LogNormal", {"mu": "loc", "sigma": "scale"}),
    priors.LogisticPrior: ("Logistic", {"mu": "loc", "s": "scale"}),
    priors.NormalPrior: ("Normal", {"mu": "loc", "sigma": "scale"}),
    priors.StudentTPrior: ("StudentT", {"nu": "df", "mu": "loc", "sigma": "scale"}),
    priors.UniformPrior: ("Uniform", {"lower": "low", "upper": "high"}),
}


def distribution(name: str, prior: Any, shape: tuple[int, ...]) -> Any:
    """The random variable of a weight in the model of the context.

    Args:
        name: its name in PyMC.
        prior: a prior without unknown scales, or None for a flat one.
        shape: the shape of the weight.
    """
    options: dict[str, Any] = {"shape": shape}
    if prior is None:
        return pm.Flat(name, **options)
    if type(prior) is priors.VarianceScalingPrior:
        prior = _of_width(prior, shape)
    if type(prior) in _NAMED:
        kind, parameters = _NAMED[type(prior)]
        values = {key: np.asarray(getattr(prior, of)) for key, of in parameters.items()}
        return getattr(pm, kind)(name, **values, **options)
    if type(prior) is priors.TruncatedNormalPrior:
        # A bound that is not there: PyMC takes an infinite one for a finite one in its transform.
        low, high = (np.asarray(b) for b in prior.support)
        bounds = {
            key: bound
            for key, bound in (("lower", low), ("upper", high))
            if np.all(np.isfinite(bound))
        }
        return pm.TruncatedNormal(name, mu=prior.loc, sigma=prior.scale, **bounds, **options)
    if type(prior) is priors.ScaleMixturePrior:
        means = np.zeros_like(prior.scales)
        return pm.NormalMixture(name, w=prior.weights, mu=means, sigma=prior.scales, **options)
    if type(prior) is priors.SpikeAndSlabPrior:
        p, slab, spike = np.broadcast_arrays(
            prior.slab_probability, prior.slab_scale, prior.spike_scale
        )
        w, sigma = np.stack([p, 1.0 - p], axis=-1), np.stack([slab, spike], axis=-1)
        return pm.NormalMixture(name, w=w, mu=np.zeros_like(sigma), sigma=sigma, **options)
    if type(prior) is priors.MultivariateNormalPrior and prior.axis in (-1, len(shape) - 1):
        matrices = {"cov": prior.covariance, "chol": prior.scale_tril, "tau": prior.precision}
        given = {key: np.asarray(value) for key, value in matrices.items() if value is not None}
        return pm.MvNormal(name, mu=np.broadcast_to(prior.loc, shape), **given, **options)
    # A matrix normal too: PyMC's asks PyTensor for what is deprecated.
    return _custom(name, prior, shape, options)


def _of_width(prior: priors.VarianceScalingPrior, shape: tuple[int, ...]) -> priors.Prior:
    """What it is for a weight of this shape."""
    stddev = prior.stddev(shape)
    if prior.family == "laplace":
        return priors.LaplacePrior(0.0, stddev / np.sqrt(2.0))
    if prior.family == "student_t":
        df = 3.0 if prior.df is None else prior.df
        return priors.StudentTPrior(df, 0.0, stddev * np.sqrt((df - 2.0) / df))
    return priors.NormalPrior(0.0, stddev)


def _custom(name: str, prior: Any, shape: tuple[int, ...], options: dict[str, Any]) -> Any:
    """Our own density, of the whole weight."""

    def logp(value: Any, template: Any) -> Any:
        (density,) = tensor_function(
            lambda w: (prior.log_prob(w),), [value], [()], f"log density of {name}"
        )
        return density

    def random(template: Any, rng: Any = None, size: Any = None) -> Any:
        number = () if size is None else tuple(size)
        seeds = rng.integers(2**31, size=number)
        draws = [ops.convert_to_numpy(prior.sample(shape, int(seed))) for seed in np.ravel(seeds)]
        return np.reshape(draws, (*number, *shape)).astype(template.dtype)

    axes = ",".join(f"d{k}" for k in range(len(shape)))
    low, high = prior.support
    if np.any(np.isfinite(low)) or np.any(np.isfinite(high)):
        options["transform"] = _Interval(low, high)
    return pm.CustomDist(
        name,
        np.zeros(shape),  # tells PyMC the shape
        logp=logp,
        random=random,
        signature=f"({axes})->({axes})",
        class_name=type(prior).__name__,
        **options,
    )


class _Interval(pm.distributions.transforms.Transform):  # type: ignore[misc, unused-ignore]
    """PyMC's transform of an interval, for one density of all elements."""

    name = "interval"

    def __init__(self, low: Any, high: Any) -> None:
        bounds = [None if np.any(np.isinf(b)) else np.asarray(b, "float64") for b in (low, high)]
        self._each = pm.distributions.transforms.Interval(*bounds)

    def forward(self, value: Any, *inputs: Any) -> Any:
        return self._each.forward(value, *inputs)

    def backward(self, value: Any, *inputs: Any) -> Any:
        return self._each.backward(value, *inputs)

    def log_jac_det(self, value: Any, *inputs: Any) -> Any:
        return pt.sum(self._each.log_jac_det(value, *inputs))
