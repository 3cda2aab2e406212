"""The scale of a prior as a variable."""

from typing import Any

from keras import ops


class PointScale:
    """exp(log_scale), with a variable of the layer: what empirical Bayes learns."""

    def __init__(self, log_scale: Any) -> None:
        self.log_scale = log_scale

    def mean(self) -> Any:
        """The scale."""
        return ops.exp(ops.convert_to_tensor(self.log_scale))

    def stddev(self) -> Any:
        """Zeros: a point."""
        return ops.zeros_like(ops.convert_to_tensor(self.log_scale))

    def log_moments(self) -> tuple[Any, Any]:
        """Mean and variance of the logarithm."""
        return ops.convert_to_tensor(self.log_scale), self.stddev()
