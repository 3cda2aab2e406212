"""Brings a target to the axes of the outputs, or refuses it. Shapes alone decide, never values."""

import math
from typing import Any

from keras import ops

Shape = tuple[int | None, ...]


def align(
    owner: str, y: Any, outputs: Any, suffixes: list[Shape], draws: bool, advice: str = ""
) -> Any:
    """The target with its leading axes those of `outputs`, or broadcasting against them.

    Args:
        owner: name of the likelihood, for the error.
        y: the target, a tensor.
        outputs: the outputs, a tensor whose last axis is that of one observation.
        suffixes: what the shape of a target may end with, after the axes of the observations.
        draws: whether `outputs` may have a leading axis of draws that `y` lacks, or has with
            size 1.
        advice: what to do where the shapes do not fit. Defaults to a target of the right shape.
    """
    shape, lead = tuple(y.shape), tuple(outputs.shape[:-1])
    draws = draws and len(lead) > 1
    allowed = [lead + suffix for suffix in suffixes]
    readings = [full for full in allowed if _fits(shape, full, draws)]
    lacks_draws = not readings
    if draws:
        without = [lead[1:] + suffix for suffix in suffixes]
        readings += [short for short in without if _fits(shape, short, False)]
        allowed += without
    if not readings:
        raise ValueError(
            f"The target of {owner} must have a shape that fits the outputs; nothing is broadcast "
            f"over observations. Received: a target of shape {shape} and outputs of shape "
            f"{tuple(outputs.shape)}. "
            + (advice or f"Give a target of shape {' or '.join(map(str, dict.fromkeys(allowed)))}.")
        )
    # A single element means the same however it is read.
    if len(readings) > 1 and (None in shape or math.prod(size or 0 for size in shape) != 1):
        raise ValueError(
            f"The shape of the target of {owner} must say what its axes are. Received: a target "
            f"of shape {shape}, which reads as any of {readings}, and outputs of shape "
            f"{tuple(outputs.shape)}. Where the first axis of the outputs is draws, give y[None]; "
            "class indices may have a last axis of size 1."
        )
    return ops.expand_dims(y, axis=0) if lacks_draws else y


def _fits(shape: Shape, full: Shape, first_may_be_one: bool) -> bool:
    if len(shape) != len(full):
        return False
    return all(
        given == wanted
        or given is None
        or wanted is None
        or (axis == 0 and given == 1 and first_may_be_one)
        for axis, (given, wanted) in enumerate(zip(shape, full, strict=True))
    )
