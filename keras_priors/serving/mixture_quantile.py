"""Quantiles of a mixture over draws, in a graph."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from keras_priors import likelihoods
from keras_priors.utils.parameters import constant

# Each halves what is left between the outermost draws: 2^-24 of it, as far as float32 goes.
STEPS = 24

# log(erfc(x) exp(x^2) / t) by powers of t = 1 / (1 + x / 2), x >= 0: a Chebyshev fit whose relative
# error is below 1.2e-7 everywhere (Press et al., 1992, Numerical recipes, section 6.2, erfcc).
_ERFC = (
    -1.26551223,
    1.00002368,
    0.37409196,
    0.09678418,
    -0.18628806,
    0.27886807,
    -1.13520398,
    1.48851587,
    -0.82215223,
    0.17087277,
)


def has_quantile(likelihood: Any) -> bool:
    """Whether `mixture_quantile` knows the distribution function: no subclass may have another."""
    return type(_uncensored(likelihood)) in _OF_LIKELIHOODS


def names_with_quantile() -> list[str]:
    """The likelihoods that have one."""
    return sorted(cls.__name__ for cls in _OF_LIKELIHOODS)


def mixture_quantile(likelihood: Any, draws: Any, q: Sequence[float]) -> Any:
    """y with mean_s F(y | f_s) = q, each element by itself, (N, ..., d, Q).

    By bisection between the quantiles of the components, of which none of the mixture is outside;
    of a family that is one of log y in the logarithm.

    Args:
        likelihood: one that `has_quantile`.
        draws: outputs (S, N, ...), a tensor.
        q: numbers between 0 and 1.
    """
    likelihood = _uncensored(likelihood)
    family = _OF_LIKELIHOODS[type(likelihood)]
    loc, *others = family.parameters(likelihood, likelihood._checked(draws))
    shape = ops.shape(loc)[1:]
    others = [ops.zeros_like(loc) + value for value in others]
    # As (Q, S, elements): on a last axis of one element ONNX Runtime takes 150 times as long.
    loc, scale, *more = (ops.reshape(value, (value.shape[0], -1)) for value in (loc, *others))
    # Of a mixture in each draw, the last is what each component weighs.
    weights = more.pop() if family.weighs else None
    levels = np.asarray(q, "float64")[:, None, None]
    # The smaller of the two tails, which has all its digits.
    sign = constant(np.where(levels > 0.5, 1.0, -1.0), loc.dtype)
    tail = constant(np.minimum(levels, 1.0 - levels), loc.dtype)
    ends = loc + scale * family.level(levels, loc.dtype, *more)

    # z = (y - loc) / scale, from products: divisions take longer. Upwards where that tail is.
    slope = sign / scale
    offset = slope * loc

    def halve(_: Any, bracket: tuple[Any, Any]) -> tuple[Any, Any]:
        low, high = bracket
        middle = 0.5 * (low + high)
        tails = family.tail(middle * slope - offset, sign, *more)
        if weights is None:
            found = ops.mean(tails, axis=1, keepdims=True)
        else:
            found = ops.sum(weights * tails, axis=1, keepdims=True)
        below = sign * (found - tail) > 0.0
        return ops.where(below, middle, low), ops.where(below, high, middle)

    ends = ops.min(ends, axis=1, keepdims=True), ops.max(ends, axis=1, keepdims=True)
    low, high = ops.fori_loop(0, STEPS, halve, ends)
    found = ops.moveaxis(ops.reshape(0.5 * (low + high), (len(q), *shape)), 0, -1)
    return ops.exp(found) if family.of_log else found


def _uncensored(likelihood: Any) -> Any:
    """What is predicted is y*, and not what would be seen of it."""
    return likelihood.likelihood if type(likelihood) is likelihoods.Censored else likelihood


def _normal_tail(z: Any, _: Any) -> Any:
    """P(Z > z), accurate in relative error: of few operations, which every format has."""
    x = ops.absolute(z) * (0.5**0.5)
    t = 1.0 / (1.0 + 0.5 * x)
    power = _ERFC[-1]
    for coefficient in reversed(_ERFC[:-1]):
        power = coefficient + t * power
    tail = 0.5 * t * ops.exp(power - x * x)
    return ops.where(z > 0.0, tail, 1.0 - tail)


def _normal_level(q: Any, dtype: Any) -> Any:
    from scipy.special import ndtri

    return constant(ndtri(q), dtype)


def _laplace_tail(z: Any, _: Any) -> Any:
    tail = 0.5 * ops.exp(-ops.absolute(z))
    return ops.where(z > 0.0, tail, 1.0 - tail)


def _laplace_level(q: Any, dtype: Any) -> Any:
    return constant(np.sign(q - 0.5) * -np.log(2.0 * np.minimum(q, 1.0 - q)), dtype)


def _gumbel_tail(z: Any, sign: Any) -> Any:
    """Of the logarithm of an exponential variable, exp(-e^z) above z."""
    hazard = ops.exp(ops.minimum(sign * z, 10.0))
    return ops.where(sign > 0.0, ops.exp(-hazard), -ops.expm1(-hazard))


def _gumbel_level(q: Any, dtype: Any) -> Any:
    return constant(np.log(-np.log1p(-q)), dtype)


def _asymmetric_tail(z: Any, sign: Any, quantile: Any, rest: Any) -> Any:
    """Above 0 a part 1 - quantile with the rate quantile; below 0 the other way round."""
    # Seen in the direction of the tail.
    rate = ops.where(sign > 0.0, quantile, rest)
    other = ops.where(sign > 0.0, rest, quantile)
    above = other * ops.exp(-rate * ops.maximum(z, 0.0))
    below = 1.0 - rate * ops.exp(other * ops.minimum(z, 0.0))
    return ops.where(z > 0.0, above, below)


def _asymmetric_level(q: Any, dtype: Any, quantile: Any, rest: Any) -> Any:
    below, above = constant(q, dtype), constant(1.0 - q, dtype)
    low = ops.log(below / quantile) / rest
    return ops.where(below > quantile, -ops.log(above / rest) / quantile, low)


def _log_weibull(likelihood: Any, draws: Any) -> tuple[Any, Any]:
    f, concentration = likelihood._log_scale_and_concentration(draws)
    return f, 1.0 / concentration


def _quantile_laplace(likelihood: Any, draws: Any) -> tuple[Any, ...]:
    loc, scale = likelihood._location_and_scale(draws)
    # Both: 1 - 0.9 in float32 has lost a digit.
    quantile = np.asarray(likelihood.quantile)
    return loc, scale, constant(quantile, draws.dtype), constant(1.0 - quantile, draws.dtype)


def _components(likelihood: Any, draws: Any) -> tuple[Any, ...]:
    """Each component of each draw as a draw, and what it weighs."""
    logits, loc, scale = likelihood._parts(draws)
    weights = ops.softmax(logits, axis=-1) / draws.shape[0]
    shape = (draws.shape[0] * likelihood.num_components, *ops.shape(loc)[1:-1])
    # The last axis by its number: ONNX has none below 0 here.
    last = len(loc.shape) - 1
    return tuple(ops.reshape(ops.moveaxis(v, last, 1), shape) for v in (loc, scale, weights))


@dataclass(frozen=True)
class _Family:
    """A standardized distribution by location and scale.

    parameters: (likelihood, draws) to location, scale, and what more shapes it.
    tail: P(Z > z) where the sign is 1, P(Z < -z) where it is -1.
    level: its quantile.
    of_log: whether it is that of log y.
    weighs: whether the last parameter is the weight of each component.
    """

    parameters: Callable[..., tuple[Any, ...]]
    tail: Callable[..., Any] = _normal_tail
    level: Callable[..., Any] = _normal_level
    of_log: bool = False
    weighs: bool = False


_OF_LIKELIHOODS: dict[type, _Family] = {
    likelihoods.Normal: _Family(lambda p, f: (p.mean(f), constant(p.scale, f.dtype))),
    likelihoods.HeteroscedasticNormal: _Family(lambda p, f: p._mean_and_scale(f)),
    likelihoods.MultivariateNormal: _Family(lambda p, f: (p.mean(f), ops.sqrt(p.variance(f)))),
    likelihoods.NormalMixture: _Family(_components, weighs=True),
    likelihoods.LogNormal: _Family(lambda p, f: p._location_and_scale(f), of_log=True),
    likelihoods.Laplace: _Family(
        lambda p, f: p._median_and_scale(f), _laplace_tail, _laplace_level
    ),
    likelihoods.AsymmetricLaplace: _Family(_quantile_laplace, _asymmetric_tail, _asymmetric_level),
    likelihoods.Weibull: _Family(_log_weibull, _gumbel_tail, _gumbel_level, of_log=True),
}
