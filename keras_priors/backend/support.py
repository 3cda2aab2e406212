"""Where a distribution has a density, in the words that the three backends share."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

# How far from a set of measure zero (a simplex, a sphere) rounding may carry an event.
_ROUNDING = 1e-5


@dataclasses.dataclass(frozen=True)
class Support:
    """The support of a distribution over real numbers.

    Args:
        low: array, the lower bounds, broadcasting against batch and event; infinite for none.
        high: array, the upper bounds.
        contains: None where the support is all between the bounds. Else a function of a tensor of
            events that says for each event whether it lies in the support.
        point: array, a point of the support for each event, where `contains` is given.
    """

    low: Any
    high: Any
    contains: Callable[[Any], Any] | None = None
    point: Any = None


def box(low: Any, high: Any, shape: tuple[int, ...]) -> Support:
    """All between two bounds, each of them broadcast to `shape` (that of batch and event)."""
    low, high = (np.broadcast_to(np.asarray(bound, "float64"), shape) for bound in (low, high))
    return Support(low, high)


def special_set(kind: str, shape: tuple[int, ...]) -> Support:
    """One of the sets below, of events of `shape`."""
    contains, point, low, high = _SETS[kind]
    inside = point(shape)
    return Support(np.full(shape, low), np.full(shape, high), contains, inside)


def _simplex(w: Any) -> Any:
    return ops.logical_and(ops.all(w >= 0.0, -1), ops.abs(ops.sum(w, -1) - 1.0) < _ROUNDING)


def _log_simplex(w: Any) -> Any:
    return ops.abs(ops.sum(ops.exp(w), -1) - 1.0) < _ROUNDING


def _sphere(w: Any) -> Any:
    return ops.abs(ops.sum(ops.square(w), -1) - 1.0) < _ROUNDING


def _cholesky_of_correlation(w: Any) -> Any:
    lower = ops.all(ops.triu(w, 1) == 0.0, (-2, -1))
    positive = ops.all(ops.diagonal(w, axis1=-2, axis2=-1) > 0.0, -1)
    return ops.logical_and(ops.logical_and(lower, positive), ops.all(_sphere(w), -1))


def _positive_definite(w: Any) -> Any:
    other = ops.swapaxes(w, -1, -2)
    scale = 1.0 + ops.max(ops.abs(w), (-2, -1), keepdims=True)
    symmetric = ops.all(ops.abs(w - other) < _ROUNDING * scale, (-2, -1))
    # What is not finite would make the eigenvalues raise; it is not symmetric, or stays NaN.
    safe = ops.where(ops.isfinite(w), w, ops.zeros_like(w))
    smallest = ops.min(ops.linalg.eigh(0.5 * (safe + ops.swapaxes(safe, -1, -2)))[0], -1)
    return ops.logical_and(symmetric, smallest > 0.0)


def _correlation(w: Any) -> Any:
    ones = ops.all(ops.abs(ops.diagonal(w, axis1=-2, axis2=-1) - 1.0) < _ROUNDING, -1)
    return ops.logical_and(ones, _positive_definite(w))


def _uniform(shape: tuple[int, ...]) -> Any:
    return np.full(shape, 1.0 / shape[-1])


def _first_axis(shape: tuple[int, ...]) -> Any:
    return np.broadcast_to(np.eye(1, shape[-1])[0], shape)


def _identity(shape: tuple[int, ...]) -> Any:
    return np.broadcast_to(np.eye(shape[-1]), shape)


# Which events, one of them, and the smallest box around them all.
_SETS: dict[str, tuple[Any, Any, float, float]] = {
    "simplex": (_simplex, _uniform, 0.0, 1.0),
    "log simplex": (_log_simplex, lambda shape: np.log(_uniform(shape)), -np.inf, 0.0),
    "sphere": (_sphere, _first_axis, -1.0, 1.0),
    "Cholesky factor of a correlation": (_cholesky_of_correlation, _identity, -1.0, 1.0),
    "correlation": (_correlation, _identity, -1.0, 1.0),
    "positive definite": (_positive_definite, _identity, -np.inf, np.inf),
}
