"""The half Student t."""

import math
from typing import Any, ClassVar

import torch
from torch.distributions import StudentT, constraints
from torch.distributions.utils import broadcast_all

from keras_priors.backend.torch.families.located import Located


class HalfStudentT(Located):
    """The distribution of loc + scale |T|, T ~ StudentT(df).

    Args:
        df: tensor, greater than 0, the degrees of freedom.
        loc: tensor, the lower end of the support.
        scale: tensor, greater than 0.
        validate_args: bool, whether to check the arguments. Defaults to False.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "df": constraints.positive,
        "loc": constraints.real,
        "scale": constraints.positive,
    }

    def __init__(
        self, df: Any, loc: Any = 0.0, scale: Any = 1.0, validate_args: bool | None = False
    ) -> None:
        self.df, self.loc, self.scale = broadcast_all(df, loc, scale)
        super().__init__(self.loc.shape, validate_args=validate_args)

    @property
    def support(self) -> Any:
        """[loc, inf)."""
        return constraints.greater_than_eq(self.loc)

    @property
    def mean(self) -> Any:
        """loc + 2 scale sqrt(df / pi) Gamma((df + 1) / 2) / (Gamma(df / 2) (df - 1)); inf below."""
        return self.loc + self.scale * self._unit_mean()

    @property
    def variance(self) -> Any:
        """scale^2 (df / (df - 2) - mean^2); infinite for df <= 2, NaN for df <= 1."""
        finite = self.df > 2.0
        safe = torch.where(finite, self.df, torch.full_like(self.df, 3.0))
        variance = torch.square(self.scale) * (
            safe / (safe - 2.0) - torch.square(self._unit_mean())
        )
        variance = torch.where(finite, variance, torch.full_like(variance, torch.inf))
        return torch.where(self.df > 1.0, variance, torch.full_like(variance, torch.nan))

    def _unit_mean(self) -> Any:
        finite = self.df > 1.0
        df = torch.where(finite, self.df, torch.full_like(self.df, 2.0))
        log_ratio = torch.lgamma(0.5 * (df + 1.0)) - torch.lgamma(0.5 * df)
        mean = 2.0 * torch.sqrt(df / math.pi) * torch.exp(log_ratio) / (df - 1.0)
        return torch.where(finite, mean, torch.full_like(mean, torch.inf))

    def rsample(self, sample_shape: Any = ()) -> Any:
        """loc + scale |T|."""
        unit = StudentT(self.df, torch.zeros_like(self.loc), 1.0, validate_args=False)
        return self.loc + self.scale * torch.abs(unit.rsample(torch.Size(sample_shape)))

    def log_prob(self, value: Any) -> Any:
        """Log density of each element, in nats; -inf below `loc`."""
        z = (torch.maximum(value, self.loc) - self.loc) / self.scale
        # The difference of the log-gammas in float64: in float32 nothing of it is left at a df
        # of 1e6.
        df = self.df.double()
        constant = torch.lgamma(0.5 * (df + 1.0)) - torch.lgamma(0.5 * df)
        constant = constant - 0.5 * torch.log(math.pi * df) - torch.log(self.scale) + math.log(2.0)
        density = constant.to(z.dtype) - 0.5 * (self.df + 1.0) * torch.log1p(z * z / self.df)
        return torch.where(value >= self.loc, density, torch.full_like(density, -torch.inf))
