"""The gamma likelihood."""

import math
from typing import Any

from keras import ops

from keras_priors import backend
from keras_priors.likelihoods.censorable import CensorableLikelihood
from keras_priors.likelihoods.information import diagonal
from keras_priors.likelihoods.log_gamma_tails import log_gamma_tails
from keras_priors.likelihoods.parameters import positive_or_none
from keras_priors.likelihoods.special import binet, exp_excess, trigamma_excess
from keras_priors.utils.export import export
from keras_priors.utils.parameters import constant


@export()
class Gamma(CensorableLikelihood):
    """Positive targets with the mean exp(f), whose standard deviation is in proportion to it.

        log p(y | f) = sum_d [ k (1 + r_d - exp(r_d)) - log y_d + c ],   r_d = log y_d - f_d  (nats)

    with k the concentration and c = k log k - k - log Gamma(k): the variance is exp(2 f) / k.

    Args:
        concentration: float or vector with one entry for each target, greater than 0, k (the
            "shape"). None: the dispersion is an output too, 1 / k = 1e-6 + softplus(rho), as of
            `keras_priors.layers.NoiseScale`: its weight is the square of the coefficient of
            variation. Defaults to 1, where targets are exponential.
        reduction, name, dtype: see `Likelihood`.

    Shapes:
        outputs (n, ..., d), log means; with concentration=None (n, ..., 2 d), first all log means,
        then all rho. Targets (n, ..., d), or (n, ...) where d is 1. A target that is not positive
        has no density: the loss is +inf.

    Raises:
        TypeError: `concentration` is not a number or a vector of numbers.
        ValueError: `concentration` is not positive or does not fit the outputs, the target does
            not fit the outputs, or `reduction="sum"`.

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> round(float(kp.likelihoods.Gamma()(np.array([[2.0]]), np.array([[0.0]]))), 4)
        2.0

    References:
        - McCullagh and Nelder, 1989, Generalized linear models, section 8.2.
    """

    _parameters = ("concentration",)
    _with_noise_scale = "Gamma(concentration=None)"
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
        self.concentration = positive_or_none("Gamma", "concentration", concentration)
        self._outputs_per_target = 2 if concentration is None else 1

    def mean(self, outputs: Any) -> Any:
        """exp(f)."""
        return ops.exp(self._log_mean_and_concentration(self._checked(outputs))[0])

    def variance(self, outputs: Any) -> Any:
        """exp(2 f) / k."""
        f, k = self._log_mean_and_concentration(self._checked(outputs))
        return ops.exp(2.0 * f) / k

    def _log_mean_and_concentration(self, outputs: Any) -> tuple[Any, Any]:
        if self.concentration is None:
            f, dispersion = self._halves(outputs)
            return f, 1.0 / dispersion
        return outputs, ops.zeros_like(outputs) + constant(self.concentration, outputs.dtype)

    def _inside_support(self, y: Any) -> Any:
        return ops.logical_and(ops.isfinite(y), y > 0.0)

    def _interior_point(self) -> float:
        return 1.0

    def _log_density(self, y: Any, outputs: Any) -> Any:
        f, k = self._log_mean_and_concentration(outputs)
        log_y = ops.log(y)
        # Without Stirling's terms, which of a large k are large numbers that cancel.
        constant_of_k = 0.5 * ops.log(k) - 0.5 * math.log(2.0 * math.pi) - binet(k)
        return constant_of_k - k * exp_excess(log_y - f) - log_y

    def _log_tails(self, y: Any, outputs: Any) -> tuple[Any, Any]:
        f, k = self._log_mean_and_concentration(outputs)
        return log_gamma_tails(ops.log(y) - f, k)

    def _information(self, y: Any, outputs: Any) -> Any:
        """k of f, psi'(k) - 1 / k of k, and they are orthogonal."""
        del y
        _, k = self._log_mean_and_concentration(outputs)
        if self.concentration is not None:
            return diagonal(k)
        slope = ops.square(k) * ops.sigmoid(outputs[..., k.shape[-1] :])  # of k by -rho
        return diagonal(k, trigamma_excess(k) * ops.square(slope))

    def _distribution(self, outputs: Any) -> Any:
        f, k = self._log_mean_and_concentration(outputs)
        return backend.distribution("Gamma", concentration=k, rate=k * ops.exp(-f))
