"""Fisher information of outputs, as matrices (..., K, K) over the outputs of an observation."""

from typing import Any

from keras import ops


def diagonal(*parts: Any) -> Any:
    """The matrix with these on its diagonal, blocks of outputs (..., d) one after another."""
    values = ops.concatenate(parts, axis=-1) if len(parts) > 1 else parts[0]
    return values[..., :, None] * ops.eye(values.shape[-1], dtype=values.dtype)


def location_and_scale(likelihood: Any, outputs: Any, of_location: Any, of_scale: Any) -> Any:
    """Of a family of locations and scales, orthogonal, from the information at the scale 1.

    Args:
        likelihood: has `_location_and_scale` and `scale`, which is None where it is an output.
        outputs: tensor (..., K).
        of_location: number, the information of the location.
        of_scale: number, that of the scale.
    """
    f, scale = likelihood._location_and_scale(outputs)
    inverse = 1.0 / (ops.zeros_like(f) + scale)
    location = of_location * ops.square(inverse)
    if likelihood.scale is not None:
        return diagonal(location)
    slope = ops.sigmoid(outputs[..., f.shape[-1] :])  # of the scale by rho
    return diagonal(location, of_scale * ops.square(slope * inverse))


def pairs(first: Any, cross: Any, second: Any) -> Any:
    """The matrix with diagonal blocks: first and second on the diagonal, cross beside it."""
    eye = ops.eye(first.shape[-1], dtype=first.dtype)
    first, cross, second = (each[..., :, None] * eye for each in (first, cross, second))
    upper = ops.concatenate([first, cross], axis=-1)
    return ops.concatenate([upper, ops.concatenate([cross, second], axis=-1)], axis=-2)
