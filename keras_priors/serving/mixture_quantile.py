"""Quantiles of a mixture over draws, in a graph."""

from collections.abc import Callable, Sequence
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
    return type(likelihood) in _OF_LIKELIHOODS


def names_with_quantile() -> list[str]:
    """The likelihoods that have one."""
    return sorted(cls.__name__ for cls in _OF_LIKELIHOODS)


def mixture_quantile(likelihood: Any, draws: Any, q: Sequence[float]) -> Any:
    """y with mean_s F(y | f_s) = q, each element by itself, (N, ..., d, Q).

    By bisection between the quantiles of the components, of which none of the mixture is outside.

    Args:
        likelihood: one that `has_quantile`.
        draws: outputs (S, N, ...), a tensor.
        q: numbers between 0 and 1.
    """
    parameters, upper_tail, level = _OF_LIKELIHOODS[type(likelihood)]
    loc, scale = parameters(likelihood, draws)
    scale = ops.zeros_like(loc) + scale
    shape = ops.shape(loc)[1:]
    # As (Q, S, elements): on a last axis of one element ONNX Runtime takes 150 times as long.
    loc, scale = (ops.reshape(value, (value.shape[0], -1)) for value in (loc, scale))
    levels = np.asarray(q, "float64")[:, None, None]
    # The smaller of the two tails, which has all its digits.
    sign = constant(np.where(levels > 0.5, 1.0, -1.0), loc.dtype)
    tail = constant(np.minimum(levels, 1.0 - levels), loc.dtype)
    ends = loc + scale * constant(level(levels), loc.dtype)

    # z = sign (y - loc) / scale, from products: divisions take longer.
    slope = sign / scale
    offset = slope * loc

    def halve(_: Any, bracket: tuple[Any, Any]) -> tuple[Any, Any]:
        low, high = bracket
        middle = 0.5 * (low + high)
        tails = upper_tail(middle * slope - offset)
        below = sign * (ops.mean(tails, axis=1, keepdims=True) - tail) > 0.0
        return ops.where(below, middle, low), ops.where(below, high, middle)

    ends = ops.min(ends, axis=1, keepdims=True), ops.max(ends, axis=1, keepdims=True)
    low, high = ops.fori_loop(0, STEPS, halve, ends)
    return ops.moveaxis(ops.reshape(0.5 * (low + high), (len(q), *shape)), 0, -1)


def _normal_upper_tail(z: Any) -> Any:
    """P(Z > z), accurate in relative error: of few operations, which every format has."""
    x = ops.absolute(z) * (0.5**0.5)
    t = 1.0 / (1.0 + 0.5 * x)
    power = _ERFC[-1]
    for coefficient in reversed(_ERFC[:-1]):
        power = coefficient + t * power
    tail = 0.5 * t * ops.exp(power - x * x)
    return ops.where(z > 0.0, tail, 1.0 - tail)


def _normal_level(q: Any) -> Any:
    from scipy.special import ndtri

    return ndtri(q)


def _laplace_upper_tail(z: Any) -> Any:
    tail = 0.5 * ops.exp(-ops.absolute(z))
    return ops.where(z > 0.0, tail, 1.0 - tail)


def _laplace_level(q: Any) -> Any:
    return np.sign(q - 0.5) * -np.log(2.0 * np.minimum(q, 1.0 - q))


# (parameters, upper tail and quantile of the standardized distribution)
_OF_LIKELIHOODS: dict[type, tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]] = {
    likelihoods.Normal: (
        lambda p, f: (p.mean(f), constant(p.scale, f.dtype)),
        _normal_upper_tail,
        _normal_level,
    ),
    likelihoods.HeteroscedasticNormal: (
        lambda p, f: p._mean_and_scale(p._checked(f)),
        _normal_upper_tail,
        _normal_level,
    ),
    likelihoods.Laplace: (
        lambda p, f: p._median_and_scale(p._checked(f)),
        _laplace_upper_tail,
        _laplace_level,
    ),
}
