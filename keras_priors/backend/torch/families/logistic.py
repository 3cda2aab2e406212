"""The logistic distribution."""

import math
from typing import Any, ClassVar

import torch
from torch.distributions import constraints
from torch.distributions.utils import broadcast_all
from torch.nn import functional

from keras_priors.backend.torch.families.located import Located


class Logistic(Located):
    """Logistic distribution: log p(x) = -z - 2 log(1 + exp(-z)) - log scale, z = (x - loc) / scale.

    Args:
        loc: tensor, the mean.
        scale: tensor, greater than 0.
        validate_args: bool, whether to check the arguments. Defaults to False.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "loc": constraints.real,
        "scale": constraints.positive,
    }
    support = constraints.real

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = False) -> None:
        self.loc, self.scale = broadcast_all(loc, scale)
        super().__init__(self.loc.shape, validate_args=validate_args)

    @property
    def variance(self) -> Any:
        """(pi scale)^2 / 3."""
        return torch.square(math.pi * self.scale) / 3.0

    def rsample(self, sample_shape: Any = ()) -> Any:
        """loc + scale (log E1 - log E2) with two unit exponentials, exact in both tails."""
        shape = self._extended_shape(torch.Size(sample_shape))
        first, second = torch.empty((2, *shape), dtype=self.loc.dtype, device=self.loc.device)
        tiny = torch.finfo(self.loc.dtype).tiny
        first = first.exponential_().clamp_min(tiny)
        second = second.exponential_().clamp_min(tiny)
        return self.loc + self.scale * (torch.log(first) - torch.log(second))

    def log_prob(self, value: Any) -> Any:
        """Log density of each element, in nats."""
        z = (value - self.loc) / self.scale
        return -z - 2.0 * functional.softplus(-z) - torch.log(self.scale)

    def cdf(self, value: Any) -> Any:
        """sigmoid(z)."""
        return torch.sigmoid((value - self.loc) / self.scale)

    def icdf(self, value: Any) -> Any:
        """loc + scale logit(value)."""
        return self.loc + self.scale * torch.logit(value)

    def entropy(self) -> Any:
        """log scale + 2."""
        return torch.log(self.scale) + 2.0
