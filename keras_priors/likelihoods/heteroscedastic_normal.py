"""The normal likelihood whose scale is an output."""

import math
from typing import Any

from keras import ops

from keras_priors import backend
from keras_priors.likelihoods.censorable import CensorableLikelihood
from keras_priors.likelihoods.parameters import positive, scalar
from keras_priors.likelihoods.special import log_normal_tails
from keras_priors.utils.export import export


@export()
class HeteroscedasticNormal(CensorableLikelihood):
    """Normal noise whose mean and standard deviation are both outputs.

        scale = min_scale + softplus(rho)
        -log p(y | mean, rho) = sum_d [ (y_d - mean_d)^2 / (2 scale_d^2) + log scale_d
                                        + log(2 pi) / 2 ]        (nats)

    The last axis of the outputs holds first all means, then all unconstrained scales: for d
    targets the model ends with `Dense(2 * d)`.

    Args:
        min_scale: float, greater than 0, the least standard deviation, in the units of the
            targets. Without one the density has no upper bound: a net that hits a target can
            shrink its scale for ever. Defaults to 1e-6, far below the noise of standardized
            targets, and large enough that neither the loss nor its gradient overflows.
        reduction, name, dtype: see `Likelihood`.

    Shapes:
        outputs (n, ..., 2 d); targets (n, ..., d), or (n, ...) where d is 1.

    Raises:
        TypeError: `min_scale` is not a number.
        ValueError: `min_scale` is not positive, the last axis of the outputs is odd, the target
            does not fit the outputs, or `reduction="sum"`.

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> likelihood = kp.likelihoods.HeteroscedasticNormal()
        >>> outputs = np.array([[1.0, 0.541325]])        # mean 1, softplus(0.541325) = 1
        >>> round(float(likelihood(np.array([2.0]), outputs)), 4)
        1.4189

    References:
        - Nix and Weigend, 1994, Estimating the mean and variance of the target probability
          distribution, equation 4.
        - Lakshminarayanan et al., 2017, Simple and scalable predictive uncertainty estimation
          using deep ensembles, equation 1 and its footnote on the softplus, arXiv:1612.01474.
    """

    _parameters = ("min_scale",)
    _outputs_per_target = 2

    def __init__(
        self,
        min_scale: float = 1e-6,
        *,
        reduction: str = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(reduction=reduction, name=name, dtype=dtype)
        self.min_scale = scalar(
            "HeteroscedasticNormal",
            "min_scale",
            positive("HeteroscedasticNormal", "min_scale", min_scale),
        )

    def mean(self, outputs: Any) -> Any:
        """The first half of the outputs."""
        return self._mean_and_scale(self._checked(outputs))[0]

    def variance(self, outputs: Any) -> Any:
        """(min_scale + softplus(rho))^2, rho the second half of the outputs."""
        return ops.square(self._mean_and_scale(self._checked(outputs))[1])

    def _mean_and_scale(self, outputs: Any) -> tuple[Any, Any]:
        return self._halves(outputs, self.min_scale)

    def _log_density(self, y: Any, outputs: Any) -> Any:
        mean, scale = self._mean_and_scale(outputs)
        half_log_2_pi = 0.5 * math.log(2.0 * math.pi)
        return -0.5 * ops.square((y - mean) / scale) - ops.log(scale) - half_log_2_pi

    def _log_tails(self, y: Any, outputs: Any) -> tuple[Any, Any]:
        mean, scale = self._mean_and_scale(outputs)
        return log_normal_tails((y - mean) / scale)

    def _distribution(self, outputs: Any) -> Any:
        mean, scale = self._mean_and_scale(outputs)
        return backend.distribution("Normal", loc=mean, scale=scale)
