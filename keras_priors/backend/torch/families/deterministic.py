"""The point mass."""

from typing import Any, ClassVar

import torch
from torch.distributions import constraints

from keras_priors.backend.torch.families.located import Located


class Deterministic(Located):
    """All mass on one point for each element.

    log p(x) = 0 at x = loc and -inf elsewhere (a mass, not a density, as in TFP).

    Args:
        loc: tensor, the point.
        validate_args: bool, ignored beyond `torch.distributions`' own checks. Defaults to False.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {"loc": constraints.real}
    support = constraints.real

    def __init__(self, loc: Any, validate_args: bool | None = False) -> None:
        self.loc = torch.as_tensor(loc)
        super().__init__(self.loc.shape, validate_args=validate_args)

    @property
    def variance(self) -> Any:
        """Zeros."""
        return torch.zeros_like(self.loc)

    def rsample(self, sample_shape: Any = ()) -> Any:
        """The point, repeated."""
        return self.loc.expand(self._extended_shape(torch.Size(sample_shape)))

    def log_prob(self, value: Any) -> Any:
        """0 at the point, -inf elsewhere."""
        zero = torch.zeros_like(self.loc)
        return torch.where(value == self.loc, zero, zero - torch.inf)

    def cdf(self, value: Any) -> Any:
        """0 below the point, 1 from it on."""
        return (value >= self.loc).to(self.loc.dtype)

    def entropy(self) -> Any:
        """Zeros, as in TFP."""
        return torch.zeros_like(self.loc)
