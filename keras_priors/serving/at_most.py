"""The smaller of a tensor and a number."""

from typing import Any

from keras import ops


def at_most(x: Any, limit: float) -> Any:
    """min(x, limit) without a tensor of the number alone; see `backend.repeat_for_export`."""
    return ops.where(x < limit, x, limit * ops.ones_like(x))
