"""A predictive distribution of numbers that is known by its quantiles."""

from abc import ABC, abstractmethod
from typing import Any

from keras_priors.utils.export import share


@share
class QuantilePredictive(ABC):
    """p(y*) of each number by itself, without draws and their parts of the variance. Abstract.

    What metrics and pictures of numbers ask of it, by the names of `Predictive`.
    """

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """The shape of y*, (N, ...)."""

    @property
    @abstractmethod
    def has_density(self) -> bool:
        """Whether `log_prob` is known: that of a row, not of each of its numbers."""

    @property
    @abstractmethod
    def mean(self) -> Any:
        """E[y*], (N, ...)."""

    @property
    @abstractmethod
    def std(self) -> Any:
        """Standard deviation of y*, (N, ...)."""

    @abstractmethod
    def quantile(self, q: Any) -> Any:
        """Quantiles of y*: (N, ...), or (len(q), N, ...) of a sequence."""

    @abstractmethod
    def interval(self, coverage: float = 0.9) -> tuple[Any, Any]:
        """The central interval that holds y* with this probability, two arrays (N, ...)."""

    @abstractmethod
    def cdf(self, y: Any) -> Any:
        """P(y* <= y), (N, ...)."""

    @abstractmethod
    def log_prob(self, y: Any) -> Any:
        """log p(y) of each row in nats."""
