"""The support of a TFP distribution, asked of its bijector from the real line."""

from typing import Any

import numpy as np
from keras import ops

from keras_priors.backend.support import Support, box, special_set

# TFP cannot say these, because its bijector to them does not construct with NumPy 2 (the first
# two rows) or reaches an inner interval only (the extreme value distribution).
_POINTS = ("Deterministic", "VectorDeterministic")
_SETS = {
    "Dirichlet": "simplex",
    "FlatDirichlet": "simplex",
    "RelaxedOneHotCategorical": "simplex",
    "ExpRelaxedOneHotCategorical": "log simplex",
    "PowerSpherical": "sphere",
    "SphericalUniform": "sphere",
    "VonMisesFisher": "sphere",
    # Bijectors from vectors to matrices: whether a matrix is in their image they do not tell.
    "CholeskyLKJ": "Cholesky factor of a correlation",
    "LKJ": "correlation",
    "WishartTriL": "positive definite",
}

# The bijectors take these to the ends of the support, or to numbers beyond `_HUGE`; that of
# 1 / softplus ends below `_TINY` and not at 0.
_ENDS = np.array([-1e30, 1e30], "float32")
_HUGE, _TINY = 1e25, 1e-25


def tfp_support(value: Any) -> Support | None:
    """The support; None where it is no set of real numbers (a discrete distribution)."""
    name = type(value).__name__
    if name in _POINTS:
        return None
    shape = (*value.batch_shape, *value.event_shape)
    if name in _SETS:
        kind = _SETS[name]
        if value.parameters.get("input_output_cholesky"):
            kind = {"correlation": "Cholesky factor of a correlation"}.get(kind, "")
        if not kind:
            raise NotImplementedError(f"the support of {name} over Cholesky factors is not known")
        return special_set(kind, tuple(value.event_shape))
    if name == "GeneralizedExtremeValue":
        return _extreme_value(value, shape)
    bijector = value.experimental_default_event_space_bijector()
    if bijector is None:
        return None
    if tuple(bijector.forward_event_shape(value.event_shape)) != tuple(value.event_shape):
        raise NotImplementedError(f"the support of {name} is not an interval")
    # One point after the other: the batch of some bijectors is that of the distribution.
    images = [_forward(bijector, end, shape) for end in _ENDS]
    if any(np.isnan(image).any() for image in images):
        # The sigmoid of TFP's truncated distributions does not stand an infinite bound.
        low, high = value.parameters.get("low"), value.parameters.get("high")
        if low is None or high is None:
            raise NotImplementedError(f"the bijector of {name} gives NaN")
        return box(ops.convert_to_numpy(low), ops.convert_to_numpy(high), shape)
    low, high = np.minimum(*images), np.maximum(*images)
    low, high = (np.where(np.abs(end) < _TINY, 0.0, end) for end in (low, high))
    return box(np.where(low < -_HUGE, -np.inf, low), np.where(high > _HUGE, np.inf, high), shape)


def _forward(bijector: Any, end: Any, shape: tuple[int, ...]) -> Any:
    z = ops.convert_to_tensor(np.full(shape, end))
    return ops.convert_to_numpy(bijector.forward(z)).astype("float64")


def _extreme_value(value: Any, shape: tuple[int, ...]) -> Support:
    loc, scale, concentration = (
        np.asarray(ops.convert_to_numpy(parameter), "float64")
        for parameter in (value.loc, value.scale, value.concentration)
    )
    safe = np.where(concentration == 0.0, 1.0, concentration)
    end = loc - scale / safe
    return box(
        np.where(concentration > 0.0, end, -np.inf),
        np.where(concentration < 0.0, end, np.inf),
        shape,
    )
