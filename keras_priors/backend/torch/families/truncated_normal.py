"""The truncated normal."""

import math
from typing import Any, ClassVar

import torch
from torch.distributions import constraints
from torch.distributions.utils import broadcast_all

from keras_priors.backend.torch.families.located import Located


class TruncatedNormal(Located):
    """A normal N(loc, scale^2) restricted to [low, high].

    log p(x) = -z^2 / 2 - log scale - log(2 pi) / 2 - log(Phi(b) - Phi(a)),
    z, a, b = (x, low, high) standardized by loc and scale.

    Args:
        loc: tensor, the mean of the normal before truncation.
        scale: tensor, greater than 0, its standard deviation.
        low: tensor, the lower bound; may be -inf.
        high: tensor, greater than `low`; may be inf.
        validate_args: bool, whether to check the arguments. Defaults to False.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "loc": constraints.real,
        "scale": constraints.positive,
        "low": constraints.dependent(is_discrete=False, event_dim=0),
        "high": constraints.dependent(is_discrete=False, event_dim=0),
    }

    def __init__(
        self, loc: Any, scale: Any, low: Any, high: Any, validate_args: bool | None = False
    ) -> None:
        self.loc, self.scale, self.low, self.high = broadcast_all(loc, scale, low, high)
        super().__init__(self.loc.shape, validate_args=validate_args)

    @property
    def support(self) -> Any:
        """[low, high]."""
        return constraints.interval(self.low, self.high)

    @property
    def mean(self) -> Any:
        """loc + scale (phi(a) - phi(b)) / Z."""
        return (self.loc + self.scale * self._moments()[0]).to(self.loc.dtype)

    @property
    def mode(self) -> Any:
        """loc, or the bound nearest to it."""
        return torch.clamp(self.loc, self.low, self.high)

    @property
    def variance(self) -> Any:
        """scale^2 [1 + (a phi(a) - b phi(b)) / Z - ((phi(a) - phi(b)) / Z)^2]."""
        first, second = self._moments()
        return (torch.square(self.scale) * (second - torch.square(first))).to(self.loc.dtype)

    def rsample(self, sample_shape: Any = ()) -> Any:
        """By inversion, in float64."""
        shape = self._extended_shape(torch.Size(sample_shape))
        uniform = torch.rand(shape, dtype=torch.float64, device=self.loc.device)
        return self.icdf(uniform).to(self.loc.dtype)

    def log_prob(self, value: Any) -> Any:
        """Log density of each element, in nats; -inf outside the bounds."""
        inside = (value >= self.low) & (value <= self.high)
        z = (torch.minimum(torch.maximum(value, self.low), self.high) - self.loc) / self.scale
        density = -0.5 * torch.square(z) - torch.log(self.scale) - 0.5 * math.log(2.0 * math.pi)
        density = density - self._log_normalizer().to(density.dtype)
        return torch.where(inside, density, torch.full_like(density, -torch.inf))

    def cdf(self, value: Any) -> Any:
        """(Phi(z) - Phi(a)) / Z."""
        a, b, flipped = self._standard_bounds()
        z = (torch.minimum(torch.maximum(value, self.low), self.high) - self.loc) / self.scale
        z = torch.where(flipped, -z, z.double())
        share = torch.special.ndtr(z) - torch.special.ndtr(a)
        share = share / (torch.special.ndtr(b) - torch.special.ndtr(a))
        return torch.where(flipped, 1.0 - share, share).to(self.loc.dtype)

    def icdf(self, value: Any) -> Any:
        """Phi^-1(Phi(a) + value Z), standardized back."""
        a, b, flipped = self._standard_bounds()
        value = torch.where(flipped, 1.0 - value, value.double())
        start = torch.special.ndtr(a)
        z = torch.special.ndtri(start + value * (torch.special.ndtr(b) - start))
        z = torch.minimum(torch.maximum(z, a), b)
        x = self.loc + self.scale * torch.where(flipped, -z, z)
        return torch.minimum(torch.maximum(x, self.low), self.high)

    def _standard_bounds(self) -> tuple[Any, Any, Any]:
        # Float64, and mirrored into the lower tail: Phi has no digits left in the upper one.
        a = (self.low.double() - self.loc) / self.scale
        b = (self.high.double() - self.loc) / self.scale
        flipped = a > 0.0
        return torch.where(flipped, -b, a), torch.where(flipped, -a, b), flipped

    def _log_normalizer(self) -> Any:
        a, b, _ = self._standard_bounds()
        upper, lower = torch.special.log_ndtr(b), torch.special.log_ndtr(a)
        return upper + torch.log1p(-torch.exp(lower - upper))

    def _moments(self) -> tuple[Any, Any]:
        a, b, flipped = self._standard_bounds()
        log_z = self._log_normalizer()
        at_a, at_b = (
            torch.exp(-0.5 * torch.square(x) - 0.5 * math.log(2.0 * math.pi) - log_z)
            for x in (a, b)
        )
        zero = torch.zeros_like(a)
        second = 1.0 + torch.where(torch.isinf(a), zero, a * at_a)
        second = second - torch.where(torch.isinf(b), zero, b * at_b)
        first = at_a - at_b
        return torch.where(flipped, -first, first), second
