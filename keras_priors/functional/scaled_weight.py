"""A weight whose prior has an unknown scale, and that scale."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors.functional.weights import Weight
from keras_priors.layers.constructor_arguments import keras_layer_of
from keras_priors.layers.kernel_layer import KernelLayer
from keras_priors.layers.weight_axes import WeightAxes, bias_axes, dense_axes
from keras_priors.priors.latent_scale import LatentScale
from keras_priors.utils.export import share

# The least part of `initial` at which a scale starts: weights may be as small as they like.
_FLOOR = 1e-3


@share
@dataclass(frozen=True, eq=False)
class ScaledWeight:
    """w = loc + sd z with sd = scale_of(s): indices of w and s among the entries of `Positions`."""

    weight: int
    scale: int
    latent: LatentScale
    shape: tuple[int, ...]
    scale_shape: tuple[int, ...]

    @property
    def repeats(self) -> float:
        """How many elements of w each s is the scale of."""
        return math.prod(self.shape) / max(math.prod(self.scale_shape), 1)

    def weight_of(self, z: Any, s: Any) -> Any:
        """w."""
        return self._loc() + self.latent.scale_of(s) * z

    def z_of(self, w: Any, s: Any) -> Any:
        """z."""
        return (w - self._loc()) / self.latent.scale_of(s)

    def log_det(self, s: Any) -> Any:
        """log|dw/dz| in nats, a scalar."""
        return self.repeats * ops.sum(ops.log(self.latent.scale_of(s)))

    def log_prob_of_z(self, z: Any) -> Any:
        """log N(z; 0, 1) in nats, a scalar."""
        constant = 0.5 * math.prod(self.shape) * math.log(2.0 * math.pi)
        return -0.5 * ops.sum(ops.square(z)) - constant

    def guess(self, w: Any) -> Any:
        """The scales (NumPy) that the weight suggests: the rms of w - loc in each group."""
        loc = np.asarray(self.latent.loc, "float32")  # as the weight has it
        apart = ops.convert_to_numpy(w).astype("float64") - loc
        shared = tuple(
            k
            for k in range(len(self.shape))
            if not self.scale_shape or self.scale_shape[k] != self.shape[k]
        )
        mean = np.mean(apart**2, axis=shared, keepdims=bool(self.scale_shape))
        rms = np.sqrt(np.broadcast_to(mean, self.scale_shape))
        initial = self.latent.initial
        unit = self.latent.scale_of(ops.full(self.scale_shape, initial, dtype="float32"))
        scale = rms * (initial / ops.convert_to_numpy(unit).astype("float64"))
        scale = np.where(np.isfinite(scale) & (scale > 0), scale, initial)
        return np.maximum(scale, _FLOOR * initial).astype("float32")

    def _loc(self) -> Any:
        return ops.convert_to_tensor(np.asarray(self.latent.loc, "float32"))


@share
def scale_of(weight: Weight) -> tuple[str, tuple[int, ...], LatentScale] | None:
    """(path, shape, what it is) of the unknown scale of the prior of a plain weight, or None."""
    latent = None if weight.prior is None else weight.prior.latent_scale
    if latent is None:
        return None
    axes = _axes_of(weight.owner, weight.variable.name, weight.shape)
    return f"{weight.path}/{latent.name}", axes.broadcasting(latent.per), latent


def local_scale_of(weight: Weight) -> tuple[str, tuple[int, ...], LatentScale] | None:
    """The same of a prior that is a mixture of normals over a scale of each element."""
    latent = None if weight.prior is None else weight.prior.local_scale
    return None if latent is None else (f"{weight.path}/{latent.name}", weight.shape, latent)


def _axes_of(layer: Any, weight: str, shape: tuple[int, ...]) -> WeightAxes:
    """What its variational twin says, asked of the plain layer; the last two axes without one."""
    twin = next((_twins()[c] for c in type(layer).__mro__ if c in _twins()), None)
    if twin is None or weight not in twin.weight_arguments:
        return dense_axes(shape)
    if weight == "bias":
        return bias_axes(shape)
    found: WeightAxes = twin.weight_axes(layer, weight, shape)
    return found


@cache
def _twins() -> dict[type, Any]:
    found = {keras_layer_of(twin): twin for twin in _below(KernelLayer)}
    found.pop(keras.layers.Layer, None)  # that of what is abstract
    return found


def _below(cls: Any) -> Iterator[Any]:
    for sub in cls.__subclasses__():
        yield from _below(sub)
        if sub.__module__.split(".")[0] == __name__.split(".")[0]:
            yield sub
