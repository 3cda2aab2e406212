"""Which axes of a weight count the inputs of its layer, and which the outputs."""

import math
from dataclasses import dataclass

from keras_priors.utils.export import share


@share
@dataclass(frozen=True)
class WeightAxes:
    """The axes of a weight of `shape` that number the inputs, and those that number the units.

    An axis can be both (the channels of a depthwise convolution) or neither (the window).
    """

    shape: tuple[int, ...]
    inputs: tuple[int, ...]
    units: tuple[int, ...]

    @property
    def fan_in(self) -> int:
        """How many products a unit is the sum of."""
        return math.prod(size for k, size in enumerate(self.shape) if k not in self.units)

    def broadcasting(self, per: str) -> tuple[int, ...]:
        """The shape of what has one element for the "tensor", for each "input" or each "unit"."""
        if per == "tensor":
            return ()
        kept = self.inputs if per == "input" else self.units
        return tuple(size if k in kept else 1 for k, size in enumerate(self.shape))


@share
def dense_axes(shape: tuple[int, ...]) -> WeightAxes:
    """Inputs and units as the last two axes, as most layers of Keras have them; or units alone."""
    last = len(shape) - 1
    return WeightAxes(shape, (last - 1,), (last,)) if last > 0 else bias_axes(shape)


@share
def bias_axes(shape: tuple[int, ...]) -> WeightAxes:
    """Units alone: a bias is the weight of one more input."""
    return WeightAxes(shape, (), tuple(range(len(shape))))
