"""Quantiles of a mixture of continuous distributions, in a graph."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.serving.number_families import NUMBER_FAMILIES
from keras_priors.utils.parameters import constant

# Each halves what is left between the outermost draws: 2^-24 of it, as far as float32 goes.
STEPS = 24


def number_quantile(likelihood: Any, draws: Any, q: Sequence[float]) -> Any:
    """y with mean_s F(y | f_s) = q, each element by itself, (N, ..., d, Q).

    By bisection between the quantiles of the components, of which none of the mixture is outside,
    or between bounds on these; of a family that is one of log y or logit y, in these.

    Args:
        likelihood: one of `NUMBER_FAMILIES`.
        draws: outputs (S, N, ...), a tensor.
        q: numbers between 0 and 1.
    """
    family = NUMBER_FAMILIES[type(likelihood)]
    loc, *others = family.parameters(likelihood, likelihood._checked(draws))
    shape = ops.shape(loc)[1:]
    scale, *more = (ops.zeros_like(loc) + value for value in others)
    # Of a mixture in each draw, the last is what each component weighs.
    weights = _flat(more.pop()) if family.weighs else None
    levels = np.asarray(q, "float64").reshape(-1, *(1 for _ in loc.shape))
    ends = family.ends(likelihood, levels, loc.dtype, *more)
    # As (Q, S, elements): on a last axis of one element ONNX Runtime takes 150 times as long.
    low, high = (
        ops.reshape(loc + scale * end, (len(q), loc.shape[0], -1)) for end in _lowest_highest(ends)
    )
    low, high = ops.min(low, axis=1, keepdims=True), ops.max(high, axis=1, keepdims=True)
    if family.limits is not None:
        low, high = (ops.clip(end, *family.limits) for end in (low, high))
    loc, scale, *more = (_flat(value) for value in (loc, scale, *more))
    tail = family.tail(*more)
    # The smaller of the two tails, which has all its digits.
    levels = levels.reshape(-1, 1, 1)
    sign = constant(np.where(levels > 0.5, 1.0, -1.0), loc.dtype)
    wanted = constant(np.minimum(levels, 1.0 - levels), loc.dtype)
    # z = (y - loc) / scale, from products: divisions take longer. Upwards where that tail is.
    slope = sign / scale
    offset = slope * loc

    def halve(_: Any, bracket: tuple[Any, Any]) -> tuple[Any, Any]:
        low, high = bracket
        middle = 0.5 * (low + high)
        tails = tail(middle * slope - offset, sign)
        if weights is None:
            found = ops.mean(tails, axis=1, keepdims=True)
        else:
            found = ops.sum(weights * tails, axis=1, keepdims=True)
        below = sign * (found - wanted) > 0.0
        return ops.where(below, middle, low), ops.where(below, high, middle)

    low, high = backend.repeat_for_export(STEPS, halve, (low, high))
    found = ops.moveaxis(ops.reshape(0.5 * (low + high), (len(q), *shape)), 0, -1)
    return family.inverse(found)


def _flat(value: Any) -> Any:
    return ops.reshape(value, (value.shape[0], -1))


def _lowest_highest(ends: Any) -> tuple[Any, Any]:
    return ends if isinstance(ends, tuple) else (ends, ends)
