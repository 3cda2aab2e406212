"""A rising function of straight pieces, its inverse and its slope."""

from typing import Any

import numpy as np


class RisingLine:
    """Straight between points, and as steep beyond the last as before it.

    Args:
        x: float64 array (K,), rising strictly.
        y: float64 array (K,), rising strictly. One point alone has the slope 1.
    """

    def __init__(self, x: Any, y: Any) -> None:
        self.x, self.y = x, y
        self._slopes = np.diff(y) / np.diff(x) if len(x) > 1 else np.ones(1)

    def __call__(self, x: Any) -> Any:
        """The value at each x."""
        piece = self._piece(self.x, x)
        return self.y[piece] + self._slopes[piece] * (x - self.x[piece])

    def inverse(self, y: Any) -> Any:
        """Where it has each value."""
        piece = self._piece(self.y, y)
        return self.x[piece] + (y - self.y[piece]) / self._slopes[piece]

    def slope(self, x: Any) -> Any:
        """The derivative at each x."""
        return self._slopes[self._piece(self.x, x)]

    def _piece(self, points: Any, at: Any) -> Any:
        return np.clip(np.searchsorted(points, at, side="right") - 1, 0, len(self._slopes) - 1)
