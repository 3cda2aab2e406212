"""The Weibull likelihood."""

import math
from typing import Any

from keras import ops

from keras_priors import backend
from keras_priors.likelihoods.censorable import CensorableLikelihood
from keras_priors.likelihoods.information import diagonal, pairs
from keras_priors.likelihoods.parameters import positive_or_none
from keras_priors.likelihoods.special import log_gamma, steep_exp
from keras_priors.utils.export import export
from keras_priors.utils.parameters import constant

# Of w = log E, E exponential: its mean is -0.577, and pi^2 / 6 its variance.
_EULER = 0.5772156649015329


@export()
class Weibull(CensorableLikelihood):
    """Times to an event whose hazard rises or falls as a power of time, with the log scale f.

        log p(y | f) = sum_d [ log k - log y_d + w_d - exp(w_d) ],   w_d = k (log y_d - f_d)  (nats)

    so that P(Y > y) = exp(-(y / exp(f))^k). The hazard rises for k > 1 and falls for k < 1; with
    k = 1 the times are exponential with the mean exp(f).

    Args:
        concentration: float or vector with one entry for each target, greater than 0, k (the
            "shape"). None: it is an output too, k = 1e-6 + softplus(rho), as of
            `keras_priors.layers.NoiseScale`. Defaults to 1.
        reduction, name, dtype: see `Likelihood`.

    Shapes:
        outputs (n, ..., d), log scales; with concentration=None (n, ..., 2 d), first all log
        scales, then all rho. Targets (n, ..., d), or (n, ...) where d is 1. A target that is not
        positive has no density: the loss is +inf. Times that are known by bounds only:
        `Censored(Weibull())`.

    Raises:
        TypeError: `concentration` is not a number or a vector of numbers.
        ValueError: `concentration` is not positive or does not fit the outputs, the target does
            not fit the outputs, or `reduction="sum"`.

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> likelihood = kp.likelihoods.Weibull(concentration=1.0)
        >>> round(float(likelihood(np.array([[2.0]]), np.array([[0.0]]))), 4)
        2.0

    References:
        - Kalbfleisch and Prentice, 2002, The statistical analysis of failure time data, 2nd
          edition, section 2.2.2.
    """

    _parameters = ("concentration",)
    _with_noise_scale = "Weibull(concentration=None)"
    _low = 0.0

    def __init__(
        self,
        concentration: Any = 1.0,
        *,
        reduction: str = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(reduction=reduction, name=name, dtype=dtype)
        self.concentration = positive_or_none("Weibull", "concentration", concentration)
        self._outputs_per_target = 2 if concentration is None else 1

    def mean(self, outputs: Any) -> Any:
        """exp(f) Gamma(1 + 1 / k)."""
        f, k = self._log_scale_and_concentration(self._checked(outputs))
        return ops.exp(f + log_gamma(1.0 + 1.0 / k))

    def variance(self, outputs: Any) -> Any:
        """exp(2 f) Gamma(1 + 2 / k) - mean^2."""
        _, k = self._log_scale_and_concentration(self._checked(outputs))
        excess = log_gamma(1.0 + 2.0 / k) - 2.0 * log_gamma(1.0 + 1.0 / k)
        return ops.square(self.mean(outputs)) * ops.expm1(excess)

    def _log_scale_and_concentration(self, outputs: Any) -> tuple[Any, Any]:
        if self.concentration is None:
            return self._halves(outputs)
        return outputs, ops.zeros_like(outputs) + constant(self.concentration, outputs.dtype)

    def _inside_support(self, y: Any) -> Any:
        return ops.logical_and(ops.isfinite(y), y > 0.0)

    def _interior_point(self) -> float:
        return 1.0

    def _log_density(self, y: Any, outputs: Any) -> Any:
        f, k = self._log_scale_and_concentration(outputs)
        log_y = ops.log(y)
        w = k * (log_y - f)
        return ops.log(k) - log_y + w - steep_exp(w)

    def _log_tails(self, y: Any, outputs: Any) -> tuple[Any, Any]:
        f, k = self._log_scale_and_concentration(outputs)
        w = k * (ops.log(y) - f)
        # log(1 - exp(-e^w)) is w - e^w / 2 + e^(2 w) / 24 for a small e^w, and 0 for a large one.
        small, large = w < -5.0, w > 5.0
        inner = ops.exp(ops.where(ops.logical_or(small, large), 0.0, w))
        low = ops.exp(ops.where(small, w, -5.0))
        series = w - 0.5 * low + ops.square(low) / 24.0
        below = ops.where(small, series, ops.log(-ops.expm1(-inner)))
        return ops.where(large, 0.0, below), -steep_exp(w)

    def _information(self, y: Any, outputs: Any) -> Any:
        """k^2 of f, (pi^2 / 6 + (1 - euler)^2) / k^2 of k, and euler - 1 of both."""
        del y
        _, k = self._log_scale_and_concentration(outputs)
        if self.concentration is not None:
            return diagonal(ops.square(k))
        slope = ops.sigmoid(outputs[..., k.shape[-1] :])  # of k by rho
        of_k = (math.pi**2 / 6.0 + (1.0 - _EULER) ** 2) * ops.square(slope / k)
        return pairs(ops.square(k), (_EULER - 1.0) * slope, of_k)

    def _distribution(self, outputs: Any) -> Any:
        f, k = self._log_scale_and_concentration(outputs)
        return backend.distribution("Weibull", concentration=k, scale=ops.exp(f))
