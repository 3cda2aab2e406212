"""The Dirichlet-multinomial."""

from typing import Any, ClassVar

import torch
from torch.distributions import Dirichlet, Distribution, Multinomial, constraints


class DirichletMultinomial(Distribution):
    """Counts of K kinds among n, with probabilities from a Dirichlet distribution.

    Args:
        total_count: tensor, n, the same number in all elements, as `Multinomial` has it.
        concentration: tensor (..., K).
        validate_args: bool. Defaults to False.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "concentration": constraints.independent(constraints.positive, 1)
    }

    def __init__(
        self, total_count: Any, concentration: Any, validate_args: bool | None = False
    ) -> None:
        self.total_count, self.concentration = total_count, concentration
        shape = concentration.shape
        super().__init__(shape[:-1], shape[-1:], validate_args=validate_args)

    @property
    def support(self) -> Any:
        """Counts up to n."""
        return constraints.multinomial(int(self.total_count.max()))

    @property
    def mean(self) -> Any:
        """n c / sum_k c_k."""
        share = self.concentration / self.concentration.sum(-1, keepdim=True)
        return self.total_count[..., None] * share

    @property
    def variance(self) -> Any:
        """n m (1 - m) (n + C) / (1 + C), m the mean share, C the sum of c."""
        n, total = self.total_count[..., None], self.concentration.sum(-1, keepdim=True)
        share = self.concentration / total
        return n * share * (1.0 - share) * (n + total) / (1.0 + total)

    def sample(self, sample_shape: Any = ()) -> Any:
        """Draws (*sample_shape, ..., K)."""
        p = Dirichlet(self.concentration, validate_args=False).sample(torch.Size(sample_shape))
        return Multinomial(int(self.total_count.max()), probs=p, validate_args=False).sample()

    def log_prob(self, value: Any) -> Any:
        """Log mass in nats."""
        c = self.concentration
        n, total = value.sum(-1), c.sum(-1)
        of_kinds = torch.lgamma(c + value) - torch.lgamma(c) - torch.lgamma(value + 1.0)
        of_all = torch.lgamma(n + 1.0) + torch.lgamma(total) - torch.lgamma(total + n)
        return of_kinds.sum(-1) + of_all
