"""The normal likelihood."""

import math
from typing import Any

import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.likelihoods.censorable import CensorableLikelihood
from keras_priors.likelihoods.parameters import positive
from keras_priors.likelihoods.special import log_normal_tails
from keras_priors.utils.export import export
from keras_priors.utils.parameters import constant


@export()
class Normal(CensorableLikelihood):
    """Normal noise of known standard deviation around the outputs.

        -log p(y | f) = sum_d [ (y_d - f_d)^2 / (2 scale_d^2) + log scale_d + log(2 pi) / 2 ]

    in nats. It is what to write where one would write `loss="mse"`: on d outputs, `mse` is
    2 scale^2 / d times this (and a constant), so that beside it a prior has another weight.

    Args:
        scale: float or vector with one entry for each output, greater than 0, the standard
            deviation of the noise, in the units of the targets. Defaults to 1.
        reduction, name, dtype: see `Likelihood`.

    Shapes:
        outputs (n, ..., d), the means; targets (n, ..., d), or (n, ...) where d is 1.

    Raises:
        TypeError: `scale` is not a number or a vector of numbers.
        ValueError: `scale` is not positive or does not fit the outputs, the target does not fit
            the outputs, or `reduction="sum"`.

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> likelihood = kp.likelihoods.Normal(scale=2.0)
        >>> y, outputs = np.array([[1.0], [3.0]]), np.array([[1.0], [1.0]])
        >>> round(float(likelihood(y, outputs)), 4)
        1.8621

    References:
        - Bishop, 2006, Pattern recognition and machine learning, equation 3.8.
    """

    _parameters = ("scale",)
    _with_noise_scale = "HeteroscedasticNormal()"

    def __init__(
        self,
        scale: Any = 1.0,
        *,
        reduction: str = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(reduction=reduction, name=name, dtype=dtype)
        self.scale = positive("Normal", "scale", scale)

    def mean(self, outputs: Any) -> Any:
        """The outputs."""
        return self._checked(outputs)

    def variance(self, outputs: Any) -> Any:
        """scale^2, for each of the outputs."""
        outputs = self._checked(outputs)
        return ops.zeros_like(outputs) + constant(np.square(self.scale), outputs.dtype)

    def _log_density(self, y: Any, outputs: Any) -> Any:
        z = (y - outputs) * constant(np.divide(1.0, self.scale), outputs.dtype)
        log_norm = np.log(self.scale) + 0.5 * math.log(2.0 * math.pi)
        return -0.5 * ops.square(z) - constant(log_norm, outputs.dtype)

    def _log_tails(self, y: Any, outputs: Any) -> tuple[Any, Any]:
        z = (y - outputs) * constant(np.divide(1.0, self.scale), outputs.dtype)
        return log_normal_tails(z)

    def _distribution(self, outputs: Any) -> Any:
        scale = constant(self.scale, outputs.dtype)
        return backend.distribution("Normal", loc=outputs, scale=scale)
