"""The constraint behind `Prior.constraint()`."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors._parameters import bound, to_config
from keras_priors._registration import register


@register
class SupportConstraint(keras.constraints.Constraint):
    """Clips a weight into [low, high] after each step, a little inside each finite bound.

    At the bound itself some densities are infinite or zero (a gamma at 0), so a weight is kept
    `1e-6` (times the scale of the bound, or the width of the interval) away from it.
    """

    def __init__(self, low: Any = None, high: Any = None) -> None:
        # None stands for "no bound": JSON has no infinity.
        self.low = np.asarray(bound("SupportConstraint", "low", low, -np.inf), "float64")
        self.high = np.asarray(bound("SupportConstraint", "high", high, np.inf), "float64")

    def __call__(self, w: Any) -> Any:
        width = np.where(np.isfinite(self.high - self.low), self.high - self.low, 1.0)
        margin = 1e-6 * np.maximum(width, 0.0)
        margin_low = np.maximum(margin, 1e-6 * np.where(np.isfinite(self.low), abs(self.low), 0))
        margin_high = np.maximum(margin, 1e-6 * np.where(np.isfinite(self.high), abs(self.high), 0))
        low = ops.cast(self.low + margin_low, w.dtype)
        high = ops.cast(self.high - margin_high, w.dtype)
        return ops.minimum(ops.maximum(w, low), high)

    def get_config(self) -> dict[str, Any]:
        return {"low": _bound(self.low), "high": _bound(self.high)}


def _bound(value: np.ndarray) -> Any:
    return None if np.all(np.isinf(value)) else to_config(value)
