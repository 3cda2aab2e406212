"""Means and standard deviations of weights, of a normal over the vector without bounds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

from keras_priors.functional.positions import Positions
from keras_priors.functional.scaled_weight import ScaledWeight
from keras_priors.utils.export import share

_NODES = 64
# Columns of the covariance at a time.
_COLUMNS = 256


@share
def moments(
    positions: Positions, mean: Any, variance: Any, columns: Callable[[Any], Any] | None = None
) -> tuple[list[Any], list[Any]]:
    """(means, standard deviations) of the weights, arrays in order, for z with these (D,).

    By quadrature over the one scalar that a weight with bounds is a function of. Of a weight with
    an unknown scale over that scale: given it, the weight is normal.

    Args:
        positions: the weights.
        mean: array (D,), of z.
        variance: array (D,), of z; 0 for what does not move.
        columns: from indices (m,) to these columns (D, m) of the covariance. Defaults to None:
            elements are independent.
    """
    mean, variance = (np.asarray(v, "float64") for v in (mean, variance))
    split = [
        [ops.convert_to_numpy(v) for v in positions.split(np.asarray(part, "float32"))]
        for part in (mean, np.sqrt(variance))
    ]
    if not positions.bounded:
        return split[0], split[1]
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    weights = weights / weights.sum()
    # The scales at each node are those that belong to the weights there.
    at = [
        [ops.convert_to_numpy(v).astype("float64") for v in _constrain(positions, point)]
        for point in mean + nodes[:, None] * np.sqrt(variance)
    ]
    means, deviations = [], []
    for k in range(len(positions.paths)):
        values, rest = np.stack([each[k] for each in at]), 0.0
        if positions.is_scaled(k):
            scaled = positions.scaled_of(k)
            scales = np.stack([each[scaled.scale] for each in at])
            values, rest = _given_scales(
                positions, scaled, nodes, scales, (mean, variance), columns
            )
        elif not positions.is_bounded(k):
            means.append(split[0][k])
            deviations.append(split[1][k])
            continue
        middle = np.tensordot(weights, values, axes=1)
        square = np.tensordot(weights, (values - middle) ** 2 + rest, axes=1)
        means.append(middle.astype("float32"))
        deviations.append(np.sqrt(square).astype("float32"))
    return means, deviations


def _constrain(positions: Positions, point: Any) -> Any:
    return positions.constrain(ops.convert_to_tensor(point.astype("float32")))[0]


def _given_scales(
    positions: Positions,
    scaled: ScaledWeight,
    nodes: Any,
    scales: Any,
    normal: tuple[Any, Any],
    columns: Callable[[Any], Any] | None,
) -> tuple[Any, Any]:
    """(mean, variance) of the weight given its scale at each node, (nodes, *shape of w)."""
    starts = np.cumsum([0, *positions.sizes])

    def part_of(vector: Any, index: int) -> Any:
        return vector[starts[index] : starts[index + 1]].reshape(positions.shapes[index])

    mean, variance = (part_of(v, scaled.weight) for v in normal)
    spread = np.sqrt(np.broadcast_to(part_of(normal[1], scaled.scale), mean.shape))
    shared = np.zeros(mean.shape)
    if columns is not None:
        # Of each element of w with the logarithm of its own scale.
        number = np.arange(positions.sizes[scaled.scale]).reshape(scaled.scale_shape)
        number = np.broadcast_to(number, mean.shape)
        for first in range(0, positions.sizes[scaled.scale], _COLUMNS):
            last = min(first + _COLUMNS, positions.sizes[scaled.scale])
            found = columns(starts[scaled.scale] + np.arange(first, last))
            found = found[starts[scaled.weight] : starts[scaled.weight + 1]]
            here = (number >= first) & (number < last)
            rows = np.flatnonzero(here)
            shared[here] = found[rows, number[here] - first]
    slope = np.divide(shared, spread, out=np.zeros(mean.shape), where=spread > 0)
    nodes = nodes.reshape(-1, *[1] * mean.ndim)
    sd = ops.convert_to_numpy(scaled.latent.scale_of(ops.convert_to_tensor(scales)))
    sd = np.asarray(sd, "float64").reshape(len(scales), *_aligned(scaled))
    center = np.asarray(scaled.latent.loc, "float64") + sd * (mean + slope * nodes)
    return center, sd**2 * np.maximum(variance - slope**2, 0.0)


def _aligned(scaled: ScaledWeight) -> tuple[int, ...]:
    return scaled.scale_shape or (1,) * len(scaled.shape)
