"""log(w / pivot) in float32 without the cancellation near the pivot."""

from typing import Any

import numpy as np
from keras import ops

from keras_priors.utils.parameters import Number


def log_ratio(w: Any, pivot: Any) -> Any:
    """log(w / pivot) for w > 0: through log1p where w is near `pivot`, else a difference of logs.

    Beside a concentration of 1000 the difference alone costs 5e-4 nats for each element.
    """
    pivot_like = w * 0.0 + pivot
    near = ops.abs(w - pivot) < 0.5 * pivot
    close = ops.log1p((ops.where(near, w, pivot_like) - pivot) / pivot)
    log_pivot = ops.log(pivot) if ops.is_tensor(pivot) else float(np.log(pivot))
    return ops.where(near, close, ops.log(ops.where(near, pivot_like, w)) - log_pivot)


def float32_number(value: Number) -> Number:
    """`value` rounded to float32, so that it is the same number in both precisions."""
    rounded = np.asarray(value, "float32").astype("float64")
    return float(rounded) if rounded.ndim == 0 else rounded
