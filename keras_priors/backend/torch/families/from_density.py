"""A distribution made of its log density and its sampler."""

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch.distributions import Distribution, constraints


class FromDensity(Distribution):
    """Independent real elements whose log density and draws are given as functions.

    Args:
        kind: string, what it is called in its representation.
        shape: the shape of the batch.
        log_prob: function of a tensor that gives the log density of each element, in nats.
        draw: function of a shape and an integer seed that gives a tensor.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}
    support = constraints.real

    def __init__(
        self,
        kind: str,
        shape: Any,
        log_prob: Callable[[Any], Any],
        draw: Callable[[Any, Any], Any],
    ) -> None:
        super().__init__(torch.Size(shape), validate_args=False)
        self._kind, self._density, self._draw = kind, log_prob, draw

    def expand(self, batch_shape: Any, _instance: Any = None) -> "FromDensity":
        """The same distribution in a larger batch."""
        return FromDensity(self._kind, batch_shape, self._density, self._draw)

    def sample(self, sample_shape: Any = ()) -> Any:
        """A draw; its seed is the next number of torch's generator."""
        seed = int(torch.randint(2**31 - 1, ()))
        return self._draw(tuple(self._extended_shape(torch.Size(sample_shape))), seed)

    def log_prob(self, value: Any) -> Any:
        """Log density of each element, in nats."""
        shape = torch.broadcast_shapes(value.shape, self.batch_shape)
        return self._density(value.expand(shape))

    def __repr__(self) -> str:
        return f"{self._kind}(batch_shape={tuple(self.batch_shape)})"
