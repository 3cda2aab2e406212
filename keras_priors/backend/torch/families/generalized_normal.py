"""The generalized normal."""

import math
from typing import Any, ClassVar

import torch
from torch.distributions import constraints
from torch.distributions.utils import broadcast_all

from keras_priors.backend.torch.families.located import Located


class GeneralizedNormal(Located):
    """Generalized normal (exponential power) distribution.

    log p(x) = -(|x - loc| / scale)^power + log power - log(2 scale) - log Gamma(1 / power)

    Args:
        loc: tensor, the mean.
        scale: tensor, greater than 0.
        power: tensor, greater than 0: 1 is a Laplace, 2 a normal of standard deviation
            scale / sqrt(2).
        validate_args: bool, whether to check the arguments. Defaults to False.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "loc": constraints.real,
        "scale": constraints.positive,
        "power": constraints.positive,
    }
    support = constraints.real

    def __init__(
        self, loc: Any, scale: Any, power: Any, validate_args: bool | None = False
    ) -> None:
        self.loc, self.scale, self.power = broadcast_all(loc, scale, power)
        super().__init__(self.loc.shape, validate_args=validate_args)

    @property
    def variance(self) -> Any:
        """scale^2 Gamma(3 / power) / Gamma(1 / power)."""
        ratio = torch.lgamma(3.0 / self.power) - torch.lgamma(1.0 / self.power)
        return torch.square(self.scale) * torch.exp(ratio)

    def rsample(self, sample_shape: Any = ()) -> Any:
        """loc + scale * sign * G^(1 / power) with G ~ Gamma(1 / power, 1)."""
        shape = self._extended_shape(torch.Size(sample_shape))
        gamma = torch.distributions.Gamma(
            (1.0 / self.power).expand(shape), torch.ones_like(self.power), validate_args=False
        )
        sign = 2.0 * torch.randint(2, shape, device=self.loc.device).to(self.loc.dtype) - 1.0
        return self.loc + self.scale * sign * gamma.rsample() ** (1.0 / self.power)

    def log_prob(self, value: Any) -> Any:
        """Log density of each element, in nats."""
        z = torch.abs((value - self.loc) / self.scale)
        # At 0 a power below 1 has an infinite slope, and 0 * inf would be the gradient.
        z = torch.clamp_min(z, torch.finfo(z.dtype).tiny)
        constant = torch.log(self.power) - torch.log(self.scale) - math.log(2.0)
        return constant - torch.lgamma(1.0 / self.power) - z**self.power

    def cdf(self, value: Any) -> Any:
        """1/2 + sign(z) P(1 / power, |z|^power) / 2, P the regularized incomplete gamma."""
        z = (value - self.loc) / self.scale
        below = torch.special.gammainc(1.0 / self.power, torch.abs(z) ** self.power)
        return 0.5 + 0.5 * torch.sign(z) * below

    def entropy(self) -> Any:
        """1 / power - log(power / (2 scale Gamma(1 / power)))."""
        inverse = 1.0 / self.power
        return inverse + torch.log(2.0 * self.scale / self.power) + torch.lgamma(inverse)
