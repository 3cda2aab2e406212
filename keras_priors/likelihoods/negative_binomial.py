"""The negative binomial likelihood."""

from typing import Any

import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.likelihoods.elementwise import ElementwiseLikelihood
from keras_priors.likelihoods.parameters import positive_or_none
from keras_priors.utils.export import export
from keras_priors.utils.parameters import constant


@export()
class NegativeBinomial(ElementwiseLikelihood):
    """Counts with the mean exp(f) that vary more than Poisson ones, f being the output.

        log p(y | f) = sum_d [ y log(m / (m + r)) + r log(r / (m + r))
                               + log Gamma(y + r) - log Gamma(r) - log(y!) ]        (nats)
        m = exp(f),  r = total_count

    The variance is m + m^2 / r: a small `total_count` is strong overdispersion, and as it grows
    the counts become Poisson. The outputs are log means, as in regression on counts, and not the
    logits f - log r that the distribution libraries take.

    Args:
        total_count: float or vector with one entry for each target, greater than 0, the inverse
            dispersion r (the "size" of R, the `total_count` of TFP and PyTorch). None: the
            dispersion is an output too, 1 / r = 1e-6 + softplus(rho): behind
            `keras_priors.layers.NoiseScale` its weight is 1 / r, small for nearly Poisson counts.
            (The curvature of one row may then be negative, for which
            `keras_priors.inference.Laplace` refuses "kronecker": give it another structure.)
        reduction, name, dtype: see `Likelihood`.

    Shapes:
        outputs (n, ..., d), log means; with total_count=None (n, ..., 2 d), first all log means,
        then all rho. Targets (n, ..., d), or (n, ...) where d is 1. A target that is not
        0, 1, 2 ... has no density: the loss is +inf.

    Raises:
        TypeError: `total_count` is not a number or a vector of numbers.
        ValueError: `total_count` is not positive or does not fit the outputs, the target does
            not fit the outputs, or `reduction="sum"`.

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> likelihood = kp.likelihoods.NegativeBinomial(total_count=1.0)   # geometric
        >>> round(float(likelihood(np.array([2]), np.array([[0.0]]))), 4)   # 3 log 2
        2.0794

    References:
        - Hilbe, 2011, Negative binomial regression, 2nd edition, section 8.2.
    """

    is_discrete = True
    _parameters = ("total_count",)
    _with_noise_scale = "NegativeBinomial(total_count=None)"

    def __init__(
        self,
        total_count: Any,
        *,
        reduction: str = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(reduction=reduction, name=name, dtype=dtype)
        self.total_count = positive_or_none("NegativeBinomial", "total_count", total_count)
        self._outputs_per_target = 2 if total_count is None else 1

    def mean(self, outputs: Any) -> Any:
        """exp(outputs); with total_count=None, that of their first half."""
        return ops.exp(self._log_mean_and_dispersion(self._checked(outputs))[0])

    def variance(self, outputs: Any) -> Any:
        """m + m^2 / total_count, with m the mean."""
        log_mean, dispersion = self._log_mean_and_dispersion(self._checked(outputs))
        mean = ops.exp(log_mean)
        return mean + ops.square(mean) * dispersion

    def _log_mean_and_dispersion(self, outputs: Any) -> tuple[Any, Any]:
        if self.total_count is None:
            return self._halves(outputs)
        return outputs, constant(np.divide(1.0, self.total_count), outputs.dtype)

    def _inside_support(self, y: Any) -> Any:
        return ops.logical_and(ops.isfinite(y), ops.logical_and(y >= 0.0, y == ops.floor(y)))

    def _log_density(self, y: Any, outputs: Any) -> Any:
        return self._distribution(outputs).log_prob(y)

    def _distribution(self, outputs: Any) -> Any:
        dtype = outputs.dtype
        if self.total_count is None:
            log_mean, dispersion = self._halves(outputs)
            return backend.distribution(
                "NegativeBinomial",
                total_count=1.0 / dispersion,
                logits=log_mean + ops.log(dispersion),
            )
        return backend.distribution(
            "NegativeBinomial",
            total_count=constant(self.total_count, dtype),
            logits=outputs - constant(np.log(self.total_count), dtype),
        )
