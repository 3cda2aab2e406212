"""The way to a mode from near it, by a curvature that is about the right one."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_priors.inference.laplace.precision import Precision

_STEPS, _HALVINGS, _MEMORY = 200, 12, 10
# Posterior standard deviations, a root mean square over directions.
_NEAR = 1e-3
_EPSILON = float(np.finfo("float32").eps)


def climb(at: Callable[[Any], tuple[float, Any]], z: Any, precision: Precision) -> Any:
    """The mode by L-BFGS whose first matrix is P^-1, in float64 around a model in float32.

        d = H g,    z = z + t d,    until sqrt(g^T P^-1 g / D) is at most 1e-3

    (Nocedal and Wright, 2006, algorithm 7.4). Where P is the curvature these are Newton's steps.
    It ends too where float32 shows no point that is higher or flatter.

    Args:
        at: from z (D,) to the log density in nats and its gradient.
        z: array (D,), the start.
        precision: P.
    """
    value, gradient = at(z)
    pairs: list[tuple[Any, Any]] = []

    def length(gradient: Any) -> float:
        return math.sqrt(max(float(gradient @ precision.solve(gradient)), 0.0) / len(gradient))

    away = length(gradient)
    for _ in range(_STEPS):
        if not away > _NEAR:
            break
        step = _direction(precision, pairs, gradient)
        if not float(gradient @ step) > 0.0:
            pairs, step = [], precision.solve(gradient)
        noise = 10 * _EPSILON * abs(value)
        for _ in range(_HALVINGS):
            higher, slope = at(z + step)
            finite = math.isfinite(higher) and bool(np.all(np.isfinite(slope)))
            if finite:
                # Where values are rounded off, gradients still tell.
                rises = higher > value + max(noise, 1e-4 * float(gradient @ step))
                if rises or (higher > value - noise and length(slope) < 0.7 * away):
                    break
            step = 0.5 * step
        else:
            break
        bent = gradient - slope
        if float(step @ bent) > 0.0:
            pairs = [*pairs[1 - _MEMORY :], (step, bent)]
        z, value, gradient, away = z + step, higher, slope, length(slope)
    return z


def _direction(precision: Precision, pairs: list[tuple[Any, Any]], gradient: Any) -> Any:
    """H g by the two loops of L-BFGS."""
    found, kept = gradient.copy(), []
    for step, bent in reversed(pairs):
        share = float(step @ found) / float(step @ bent)
        found -= share * bent
        kept.append(share)
    found = precision.solve(found)
    for (step, bent), share in zip(pairs, reversed(kept), strict=True):
        found += step * (share - float(bent @ found) / float(step @ bent))
    return found
