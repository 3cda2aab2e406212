"""The support of a `torch.distributions` distribution, read from its constraint."""

import math
from typing import Any

import keras
import numpy as np
from torch import distributions as td
from torch.distributions import constraints

from keras_priors.backend.support import Support, box, special_set
from keras_priors.backend.torch.families import Deterministic

_INTERVALS = (
    type(constraints.real),
    constraints.interval,
    constraints.half_open_interval,
    constraints.greater_than,
    constraints.greater_than_eq,
    constraints.less_than,
)
_SETS = {
    type(constraints.simplex): "simplex",
    type(constraints.corr_cholesky): "Cholesky factor of a correlation",
    type(constraints.positive_definite): "positive definite",
}


def torch_support(value: Any) -> Support | None:
    """The support; None where it is no set of real numbers (a discrete distribution)."""
    constraint = value.support
    # torch calls a point mass a distribution over the real line.
    if constraint.is_discrete or isinstance(value, Deterministic):
        return None
    while isinstance(constraint, constraints.independent):
        constraint = constraint.base_constraint
    shape = (*value.batch_shape, *value.event_shape)
    if isinstance(value, td.VonMises):
        # torch says the real line, over which this density has no integral. Draws are of here.
        return box(-math.pi, math.pi, shape)
    if isinstance(constraint, _INTERVALS):
        ends = vars(constraint)
        low, high = ends.get("lower_bound", -np.inf), ends.get("upper_bound", np.inf)
        return box(keras.ops.convert_to_numpy(low), keras.ops.convert_to_numpy(high), shape)
    if type(constraint) in _SETS:
        return special_set(_SETS[type(constraint)], tuple(value.event_shape))
    raise NotImplementedError(f"its constraint is {constraint}")
