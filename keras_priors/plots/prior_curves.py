"""Densities and quantiles of priors, element by element."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_priors.priors.prior import Prior
from keras_priors.priors.variance_scaling_prior import VarianceScalingPrior

_DRAWS = 20_000
# Of a normal, from one standard deviation below to one above.
_WITHIN_ONE_SD = (0.15865525393145707, 0.8413447460685429)
_MOST_CALLS = 400


def log_density(prior: Prior, at: Any, shape: tuple[int, ...] = (1,)) -> Any:
    """log p in nats of one element at each of the points, for a prior that is the same of each.

    Args:
        prior: a prior.
        at: float array of points.
        shape: shape of the weight, which some priors depend on.
    """
    size = max(1, int(np.prod(shape)))
    values = [
        float(keras.ops.convert_to_numpy(prior.log_prob(np.full(shape, w, "float32"))))
        for w in np.asarray(at)
    ]
    return np.asarray(values) / size


def is_same_of_each(prior: Prior, shape: tuple[int, ...]) -> bool:
    """Whether the elements of a weight are independent, with one density."""
    normal = prior.as_normal(shape)
    if normal is not None:
        return all(np.ptp(np.asarray(v, "float64")) == 0.0 for v in normal)
    return prior.factorized and all(np.ndim(getattr(prior, n)) == 0 for n in prior._parameters)


def quantiles(prior: Prior, q: Sequence[float], shape: tuple[int, ...]) -> Any:
    """Quantiles of each element, (len(q), size); (len(q), 1) where they are the same of each.

    Exact for normals, else of draws with a fixed seed.
    """
    normal = prior.as_normal(shape)
    if normal is not None:
        from scipy import stats

        loc, scale = (np.asarray(keras.ops.convert_to_numpy(v), "float64") for v in normal)
        loc, scale = (np.broadcast_to(v, shape).reshape(-1) for v in (loc, scale))
        if is_same_of_each(prior, shape):
            loc, scale = loc[:1], scale[:1]
        return stats.norm(loc, scale).ppf(np.asarray(q)[:, None])
    if not is_same_of_each(prior, shape):
        return np.quantile(_draws(prior, shape, _MOST_CALLS), q, axis=0)
    if _depends_on_shape(prior):
        calls = min(-(-_DRAWS // max(1, int(np.prod(shape)))), _MOST_CALLS)
        return np.quantile(_draws(prior, shape, calls), q)[:, None]
    return np.quantile(_draws(prior, (_DRAWS,), 1), q)[:, None]


def _draws(prior: Prior, shape: tuple[int, ...], calls: int) -> Any:
    """Array (calls, size)."""
    draws = (keras.ops.convert_to_numpy(prior.sample(shape, seed=k)) for k in range(calls))
    return np.stack([draw.reshape(-1) for draw in draws])


def _depends_on_shape(prior: Prior) -> bool:
    """Whether a weight of another shape may have another density; of a user's own prior it may."""
    own = type(prior).__module__.split(".")[0] == __name__.split(".")[0]
    return not own or isinstance(prior, VarianceScalingPrior)


def scales_of(prior: Prior, shape: tuple[int, ...]) -> Any:
    """Half the width of the central 68% of each element: of a normal, its standard deviation."""
    low, high = quantiles(prior, _WITHIN_ONE_SD, shape)
    return 0.5 * (high - low)
