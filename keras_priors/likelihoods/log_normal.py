"""The log-normal likelihood."""

from typing import Any

import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.likelihoods.censorable import CensorableLikelihood
from keras_priors.likelihoods.information import location_and_scale
from keras_priors.likelihoods.parameters import positive_or_none
from keras_priors.likelihoods.special import log_normal_density, log_normal_tails
from keras_priors.utils.export import export
from keras_priors.utils.parameters import constant


@export()
class LogNormal(CensorableLikelihood):
    """Positive targets whose logarithm is normal around the output f: exp(f) is their median.

        -log p(y | f) = sum_d [ (log y_d - f_d)^2 / (2 scale^2) + log(y_d scale) + log(2 pi) / 2 ]

    in nats. The mean is exp(f + scale^2 / 2).

    Args:
        scale: float or vector with one entry for each target, greater than 0, the standard
            deviation of log y. None: it is an output too, scale = 1e-6 + softplus(rho), as of
            `keras_priors.layers.NoiseScale`. Defaults to 1.
        reduction, name, dtype: see `Likelihood`.

    Shapes:
        outputs (n, ..., d), log medians; with scale=None (n, ..., 2 d), first all log medians,
        then all rho. Targets (n, ..., d), or (n, ...) where d is 1. A target that is not positive
        has no density: the loss is +inf.

    Raises:
        TypeError: `scale` is not a number or a vector of numbers.
        ValueError: `scale` is not positive or does not fit the outputs, the target does not fit
            the outputs, or `reduction="sum"`.

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> likelihood = kp.likelihoods.LogNormal(scale=1.0)
        >>> round(float(likelihood(np.array([[1.0]]), np.array([[0.0]]))), 4)   # log(2 pi) / 2
        0.9189

    References:
        - Limpert, Stahel and Abbt, 2001, Log-normal distributions across the sciences, BioScience
          51(5), table 1.
    """

    # `posteriors.LogNormal` has the name alone.
    _registered_in = "keras_priors.likelihoods"
    _parameters = ("scale",)
    _with_noise_scale = "LogNormal(scale=None)"
    _low = 0.0

    def __init__(
        self,
        scale: Any = 1.0,
        *,
        reduction: str = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(reduction=reduction, name=name, dtype=dtype)
        self.scale = positive_or_none("LogNormal", "scale", scale)
        self._outputs_per_target = 2 if scale is None else 1

    def mean(self, outputs: Any) -> Any:
        """exp(f + scale^2 / 2)."""
        f, scale = self._location_and_scale(self._checked(outputs))
        return ops.exp(f + 0.5 * scale**2)

    def variance(self, outputs: Any) -> Any:
        """(exp(scale^2) - 1) mean^2."""
        f, scale = self._location_and_scale(self._checked(outputs))
        spread = ops.expm1(ops.zeros_like(f) + scale**2)
        return spread * ops.square(self.mean(outputs))

    def _location_and_scale(self, outputs: Any) -> tuple[Any, Any]:
        if self.scale is None:
            return self._halves(outputs)
        return outputs, constant(self.scale, outputs.dtype)

    def _inside_support(self, y: Any) -> Any:
        return ops.logical_and(ops.isfinite(y), y > 0.0)

    def _interior_point(self) -> float:
        return 1.0

    def _standardized(self, y: Any, outputs: Any) -> Any:
        f, scale = self._location_and_scale(outputs)
        return (ops.log(y) - f) / scale

    def _log_density(self, y: Any, outputs: Any) -> Any:
        _, scale = self._location_and_scale(outputs)
        log_scale = ops.log(scale) if self.scale is None else constant(np.log(self.scale), y.dtype)
        return log_normal_density(self._standardized(y, outputs)) - ops.log(y) - log_scale

    def _log_tails(self, y: Any, outputs: Any) -> tuple[Any, Any]:
        return log_normal_tails(self._standardized(y, outputs))

    def _information(self, y: Any, outputs: Any) -> Any:
        """1 / scale^2 of f, 2 / scale^2 of the scale."""
        del y
        return location_and_scale(self, outputs, 1.0, 2.0)

    def _distribution(self, outputs: Any) -> Any:
        f, scale = self._location_and_scale(outputs)
        return backend.distribution("LogNormal", loc=f, scale=scale)
