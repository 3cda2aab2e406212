"""A normal prior whose scale is learned, seen from the weights."""

import math
from typing import Any, NoReturn

import numpy as np
from keras import ops

from keras_priors.layers.point_scale import PointScale
from keras_priors.posteriors.log_normal import LogNormal
from keras_priors.priors.prior import Prior
from keras_priors.utils.export import register


@register
class ConditionalNormal(Prior):
    """E[log N(w; loc, scale^2)] over the scale, as a function of the weights.

    Not normalized in w where the scale has a spread: what a KL to the joint prior of weights and
    scale holds about the weights. With log(scale) ~ N(m, v) it is known in closed form, from
    E[log(scale)] = m and E[scale^-2] = exp(2 v - 2 m).
    """

    def __init__(self, loc: Any, scale: PointScale | LogNormal) -> None:
        super().__init__()
        self.loc = loc
        self.scale = scale

    def log_prob(self, w: Any) -> Any:
        """E[log p(w)] over the scale, in nats: a scalar."""
        return self.expected_log_prob(self._as_weight(w), 0.0)

    def expected_log_prob(self, mean: Any, variance: Any) -> Any:
        """The same under independent normals with these means and variances."""
        size = math.prod(mean.shape)
        log_scale, spread = (ops.cast(x, mean.dtype) for x in self.scale.log_moments())
        squares = ops.square(mean - ops.cast(self.loc, mean.dtype)) + variance
        precision = ops.exp(2.0 * (spread - log_scale))
        repeats = size / math.prod(log_scale.shape)
        constant = float(-0.5 * size * np.log(2.0 * np.pi))
        return constant - repeats * ops.sum(log_scale) - 0.5 * ops.sum(precision * squares)

    def _distribution(self, shape: tuple[int, ...], dtype: str, broadcast: bool) -> NoReturn:
        raise NotImplementedError("The scale is learned: there is no one distribution.")

    def get_config(self) -> NoReturn:
        """Refused: what is saved is the prior that the layer was given, and the layer's weights."""
        raise NotImplementedError("A prior with the scale that a layer has learned has no config.")
