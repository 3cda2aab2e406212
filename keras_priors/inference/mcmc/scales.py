"""The scale of a sampler: z = F q, in whose coordinates q the posterior is to have unit scale.

A tuple of arrays, by whose number the compiled program tells the three kinds apart:

    (s,)        F = diag(s), or a factor (D, D)
    (s, U, c)   F = diag(s) (I + U diag(c) U^T), with orthonormal columns U (D, k): low rank

All in float64 here; positions and gradients are rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np

KINDS = ("auto", "diagonal", "dense", "low_rank")
# A factor costs 2 D^2 products in each gradient, and D^3 in each window: less than a gradient over
# the rows up to here.
_DENSE = 100
_RANK = 50


def unit_scale(mass: str, size: int) -> tuple[Any, ...]:
    """No scale yet, of the kind that `mass` says."""
    if mass == "dense" or (mass == "auto" and size <= _DENSE):
        return (np.eye(size, dtype="float32"),)
    ones = np.ones(size, "float32")
    if mass == "diagonal":
        return (ones,)
    rank = min(_RANK, size)
    return ones, np.eye(size, rank, dtype="float32"), np.zeros(rank, "float32")


def kind_of(scale: tuple[Any, ...]) -> str:
    """Which of `KINDS` it is."""
    if len(scale) > 1:
        return "low_rank"
    return "dense" if scale[0].ndim == 2 else "diagonal"


def to_z(q: Any, scale: tuple[Any, ...]) -> Any:
    """z of q."""
    first, *low_rank = _precise(scale)
    if first.ndim == 2:
        return q @ first.T
    return first * _stretched(q, low_rank, lambda c: c)


def to_q(z: Any, scale: tuple[Any, ...]) -> Any:
    """q of z."""
    first, *low_rank = _precise(scale)
    if first.ndim == 2:
        return np.linalg.solve(first, z.T).T
    return _stretched(z / first, low_rank, lambda c: 1 / (1 + c) - 1)


def slope_by_q(slope: Any, scale: tuple[Any, ...]) -> Any:
    """The gradient by q, of that by z."""
    first, *low_rank = _precise(scale)
    if first.ndim == 2:
        return slope @ first
    return _stretched(first * slope, low_rank, lambda c: c)


def slope_by_z(slope: Any, scale: tuple[Any, ...]) -> Any:
    """The gradient by z, of that by q."""
    first, *low_rank = _precise(scale)
    if first.ndim == 2:
        return np.linalg.solve(first.T, slope.T).T
    return _stretched(slope, low_rank, lambda c: 1 / (1 + c) - 1) / first


def _stretched(v: Any, low_rank: Any, of: Any) -> Any:
    if not low_rank:
        return v
    directions, stretch = low_rank
    return v + (v @ directions * of(stretch)) @ directions.T


def _precise(scale: tuple[Any, ...]) -> list[Any]:
    return [np.asarray(part, "float64") for part in scale]
