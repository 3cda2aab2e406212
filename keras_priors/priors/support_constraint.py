"""The constraint behind `Prior.constraint()`."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors.utils.export import register
from keras_priors.utils.parameters import bound, tensor, to_config

# Significant bits, the exponent of the smallest normal number, and the largest number.
_FORMATS = {
    "float16": (11, -14, 65504.0),
    "bfloat16": (8, -126, float.fromhex("0x1.fep127")),
    "float32": (24, -126, float(np.finfo("float32").max)),
    "float64": (53, -1022, float(np.finfo("float64").max)),
}


@register
class SupportConstraint(keras.constraints.Constraint):
    """Clips a weight into [low, high] after each step, a little inside each finite bound.

    At the bound itself some densities are infinite or zero (a gamma at 0), so a weight is kept
    away from it: by `1e-6` times the larger of 1 and the bound, or of a narrower interval by
    `1e-6` of its width, and on to the next number of the weight's dtype.
    """

    def __init__(self, low: Any = None, high: Any = None) -> None:
        # None stands for "no bound": JSON has no infinity.
        self.low = np.asarray(bound("SupportConstraint", "low", low, -np.inf), "float64")
        self.high = np.asarray(bound("SupportConstraint", "high", high, np.inf), "float64")
        self._ends: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def __call__(self, w: Any) -> Any:
        dtype = keras.backend.standardize_dtype(w.dtype)
        if dtype not in self._ends:
            self._ends[dtype] = self._inside(dtype)
        low, high = (tensor(end, dtype) for end in self._ends[dtype])
        w = ops.convert_to_tensor(w)  # JAX takes no variable in `where`
        # `ops.maximum` rounds float64 tensors to float32 on PyTorch.
        w = ops.where(w < low, low, w)
        return ops.where(w > high, high, w)

    def _inside(self, dtype: str) -> tuple[np.ndarray, np.ndarray]:
        """The smallest and the largest value that a weight of this dtype may take."""
        width = self.high - self.low
        low = _next_inside(self.low, width, dtype)
        high = -_next_inside(-self.high, width, dtype)
        # An interval without a number of this dtype between its bounds may hold them.
        empty = low > high
        low = np.where(empty, _round_up(self.low, dtype), low)
        high = np.where(empty, -_round_up(-self.high, dtype), high)
        if np.any(low > high):
            raise ValueError(
                f"A weight of dtype {dtype} has no value in the support of its prior. Received: "
                f"low={_bound(self.low)} and high={_bound(self.high)}. Give the layer a wider "
                "dtype, or the prior a wider support."
            )
        return low, high

    def get_config(self) -> dict[str, Any]:
        return {"low": _bound(self.low), "high": _bound(self.high)}


def _next_inside(low: np.ndarray, width: np.ndarray, dtype: str) -> np.ndarray:
    """The first number of this dtype that is above a lower bound by the margin."""
    scale = np.maximum(np.where(np.isfinite(low), np.abs(low), 0.0), 1.0)
    margin = 1e-6 * np.minimum(width, scale)
    if dtype != "float64":
        # Half precision too is compared with the bound in float32.
        with np.errstate(over="ignore"):
            low = np.maximum(low, low.astype("float32").astype("float64"))
    inside = _round_up(low + margin, dtype)
    # A margin below the spacing of the numbers has left no trace.
    above = _round_up(low + _spacing(low, dtype), dtype)
    return np.where(inside > low, inside, above)


def _round_up(x: np.ndarray, dtype: str) -> np.ndarray:
    """The smallest number of this dtype that is not below x."""
    spacing, largest = _spacing(x, dtype), _FORMATS[dtype][2]
    rounded = np.ceil(x / spacing) * spacing
    return np.where(np.isfinite(x), np.maximum(rounded, -largest), x)


def _spacing(x: np.ndarray, dtype: str) -> np.ndarray:
    bits, smallest, _ = _FORMATS[dtype]
    _, exponent = np.frexp(np.where(np.isfinite(x), x, 1.0))
    return np.asarray(np.ldexp(1.0, np.maximum(exponent - 1, smallest) - bits + 1))


def _bound(value: np.ndarray) -> Any:
    return None if np.all(np.isinf(value)) else to_config(value)
