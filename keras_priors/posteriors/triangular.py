"""Lower-triangular scales with a softplus diagonal, held as square variables."""

from typing import Any

import numpy as np
from keras import ops

from keras_priors.posteriors.scale import log_softplus, softplus_inverse


class TriangularInitializer:
    """The variable of a scale that is `scale` times the identity."""

    def __init__(self, scale: float) -> None:
        self._scale = scale

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        value = np.diag(np.full(shape[0], float(softplus_inverse(self._scale))))
        return ops.convert_to_tensor(value.astype("float32"), dtype=dtype)


def triangular(variable: Any) -> Any:
    """The lower-triangular matrix of a square variable; what is above its diagonal is unused."""
    raw = ops.convert_to_tensor(variable)
    diagonal = ops.softplus(ops.diagonal(raw))
    # Not `ops.tril`: on PyTorch's CPU it wakes all threads, milliseconds for any size.
    index = ops.arange(raw.shape[0])
    below = ops.expand_dims(index, 1) > ops.expand_dims(index, 0)
    return ops.where(below, raw, ops.zeros_like(raw)) + ops.diag(diagonal)


def log_det_triangular(variable: Any) -> Any:
    """log of the determinant of `triangular(variable)`."""
    return ops.sum(log_softplus(ops.diagonal(ops.convert_to_tensor(variable))))
