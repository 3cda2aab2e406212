"""The part of the regularized horseshoe's density that has no closed form, as a smooth table."""

from typing import Any

import numpy as np
from keras import ops

from keras_priors.utils.parameters import tensor

_STEP = 0.1  # of log a, between nodes: the cubic is then exact to about 1e-7


class SlabIntegral:
    """log of J(a, k) = integral over t > 0 of (sqrt(t^2 + k^2) - t) / (1 + t^2) exp(-a t^2).

    R(log a) = log J + log(1 + a) / 2 runs smoothly from one constant to another. Its values and
    slopes are computed once, in float64, by the trapezoidal rule in log t, and interpolated by
    cubics between nodes 0.1 apart in log a.

    Args:
        ratio: float or array, greater than 0, k; each different value has a table of its own.
    """

    def __init__(self, ratio: Any) -> None:
        ratios, where = np.unique(np.asarray(ratio, "float64"), return_inverse=True)
        self._start = -20.0 - 2.0 * max(0.0, float(np.log(ratios[-1])))
        end = 34.0 + 2.0 * max(0.0, -float(np.log(ratios[0])))
        self._size = int(np.ceil((end - self._start) / _STEP)) + 1
        nodes = self._start + _STEP * np.arange(self._size)
        tables = [_values_and_slopes(nodes, k) for k in ratios]
        self._values = np.concatenate([values for values, _ in tables])
        self._rises = np.concatenate([_STEP * slopes for _, slopes in tables])
        self._offset = where.reshape(np.shape(ratio)).astype("int32") * self._size

    def log_integral(self, log_a: Any) -> Any:
        """log J for each element."""
        position = ops.clip((log_a - self._start) / _STEP, 0.0, self._size - 1.0)
        # Clipped again as an integer: a NaN weight must stay NaN and not leave the table.
        index = ops.cast(ops.stop_gradient(position), "int32")
        index = ops.clip(index, 0, self._size - 2)
        f = position - ops.cast(index, log_a.dtype)
        if np.any(self._offset):
            index = index + ops.convert_to_tensor(self._offset, dtype="int32")
        values, rises = (tensor(table, log_a.dtype) for table in (self._values, self._rises))
        left, right = ops.take(values, index, axis=0), ops.take(values, index + 1, axis=0)
        rise_left, rise_right = ops.take(rises, index, axis=0), ops.take(rises, index + 1, axis=0)
        step = right - left
        cubic = (
            (rise_left + rise_right - 2.0 * step) * f + 3.0 * step - 2.0 * rise_left - rise_right
        )
        return left + f * (rise_left + f * cubic) - 0.5 * ops.softplus(log_a)


def _values_and_slopes(log_a: np.ndarray, k: float) -> tuple[np.ndarray, np.ndarray]:
    a = np.exp(log_a)[:, None]
    x = np.arange(-24.0, 12.0 + max(0.0, np.log(k)), 0.2)
    t = np.exp(x) / np.sqrt(1.0 + a)
    # (sqrt(t^2 + k^2) - t) without the difference; one factor t is dt / dx.
    terms = k * (k / (np.hypot(t, k) + t)) / (1.0 + t * t) * np.exp(-a * t * t) * t
    integral = terms.sum(axis=1) * 0.2
    slope = -a[:, 0] * (terms * t * t).sum(axis=1) * 0.2 / integral
    share = a[:, 0] / (1.0 + a[:, 0])
    return np.log(integral) + 0.5 * np.log1p(a[:, 0]), slope + 0.5 * share
