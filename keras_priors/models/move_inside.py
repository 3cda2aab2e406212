"""Weights outside of the support of their new prior are moved into it."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from keras import ops

from keras_priors.functional.weights import Weight
from keras_priors.layers.inside_support import InsideSupport
from keras_priors.utils.warn import warn


def move_inside(weights: Iterable[Weight]) -> None:
    """Move them as a layer with such a prior would start, and warn with what was moved.

    Outside the penalty is infinite: the first loss of a `fit`, and the mean of its first epoch,
    would be.
    """
    moved = []
    for weight in weights:
        prior, variable = weight.prior, weight.variable
        constraint = None if prior is None else prior.constraint()
        point = weight.penalty is None or weight.penalty.posterior.support == "point"
        if prior is None or constraint is None or not point:
            continue
        before = ops.convert_to_tensor(variable)
        outside = _different(before, constraint(before))
        if outside:
            variable.assign(InsideSupport(_Value(before), prior)(weight.shape, variable.dtype))
            moved.append(f"{outside} of {int(np.prod(weight.shape))} elements of {weight.path}")
    if moved:
        warn(
            f"Outside the support of their prior were {', '.join(moved)}; they were moved inside: "
            "to their absolute value, then to the bounds. Set the weights yourself before, to "
            "start elsewhere.",
        )


class _Value:
    """An initializer that gives a tensor that is there."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        return self._value


def _different(first: Any, second: Any) -> int:
    return int(np.sum(ops.convert_to_numpy(first) != ops.convert_to_numpy(second)))
