"""A normal distribution around zero by its precision: curvature of the likelihood + prior."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any


class Precision:
    """P = factor * H + prior, in float64, of which H is kept apart. Abstract.

    Another prior or noise then costs algebra alone, no pass over the data.
    """

    def __init__(self, prior: Any, factor: float = 1.0) -> None:
        self.prior = prior
        """-d2 log p(w) / dw2: its diagonal (D,), or a matrix (D, D)."""
        self.factor = factor
        """By how much the curvature of the likelihood counts."""

    @abstractmethod
    def rescaled(self, prior: Any, factor: float) -> Precision:
        """The same curvature with another prior and another factor."""

    @abstractmethod
    def log_det(self) -> float:
        """log det P."""

    @abstractmethod
    def color(self, noise: Any) -> Any:
        """Deviations (D,) with covariance P^-1 from standard normals (D,)."""

    @abstractmethod
    def variance(self) -> Any:
        """diag P^-1, (D,)."""

    @abstractmethod
    def covariance_of(self, jacobian: Any) -> Any:
        """J P^-1 J^T, (R, K, K), for J (R, K, D)."""

    @abstractmethod
    def quadratic(self, deviation: Any) -> float:
        """d^T P d."""

    @abstractmethod
    def arrays(self) -> dict[str, Any]:
        """H as arrays by name, for `from_arrays`."""

    @classmethod
    @abstractmethod
    def from_arrays(cls, arrays: Mapping[str, Any], prior: Any, factor: float) -> Precision:
        """What `arrays` described."""


def not_positive(what: str, least: float) -> str:
    """What to say where a precision is not positive definite."""
    return (
        "A Laplace approximation needs a positive definite precision at the mode: the curvature of "
        f"the log likelihood plus that of the log prior. Received: {what}, least value "
        f"{least:.4g}. The weights are at no maximum, or data and prior leave a direction free. "
        'Train longer or give more `max_iterations`, use curvature="ggn", which is never negative, '
        "or give all weights priors that are curved at the mode, such as NormalPrior."
    )
