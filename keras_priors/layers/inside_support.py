"""The start of a point estimate under a prior on part of the line."""

from typing import Any

import keras
from keras import ops

from keras_priors.priors.prior import Prior
from keras_priors.utils.export import share

# Where the initializer gives less; as `LogNormal` starts.
_SMALLEST = 1e-3


@share
class InsideSupport:
    """What another initializer draws; outside of the support its absolute value, clipped into it.

    Outside, the penalty is infinite, and the first loss would be. Lives only while the layer is
    built.
    """

    def __init__(self, initializer: Any, prior: Prior) -> None:
        self._initializer = keras.initializers.get(initializer)
        self._prior = prior

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        w = self._initializer(shape, dtype=dtype)
        constraint = self._prior.constraint()
        if constraint is None:
            return w
        low, high = (ops.cast(bound, w.dtype) for bound in self._prior.support)
        inside = ops.logical_and(w > low, w < high)
        return constraint(ops.where(inside, w, ops.maximum(ops.abs(w), _SMALLEST)))
