"""The Laplace likelihood."""

from typing import Any

import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.likelihoods.elementwise import ElementwiseLikelihood
from keras_priors.likelihoods.parameters import positive_or_none
from keras_priors.utils.export import export
from keras_priors.utils.parameters import constant


@export()
class Laplace(ElementwiseLikelihood):
    """Laplace noise around the outputs: heavier tails than the normal, fit by the median.

        -log p(y | f) = sum_d [ |y_d - f_d| / scale_d + log(2 scale_d) ]        (nats)

    It is what to write where one would write `loss="mae"`: on d outputs, `mae` is scale / d times
    this (and a constant), so that beside it a prior has another weight.

    Args:
        scale: float or vector with one entry for each target, greater than 0, the mean absolute
            deviation of the noise; its standard deviation is sqrt(2) times that. None: it is an
            output too, scale = 1e-6 + softplus(rho), as of `keras_priors.layers.NoiseScale`.
            Defaults to 1.
        reduction, name, dtype: see `Likelihood`.

    Shapes:
        outputs (n, ..., d), the medians; with scale=None (n, ..., 2 d), first all medians, then
        all rho. Targets (n, ..., d), or (n, ...) where d is 1.

    Raises:
        TypeError: `scale` is not a number or a vector of numbers.
        ValueError: `scale` is not positive or does not fit the outputs, the target does not fit
            the outputs, or `reduction="sum"`.

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> likelihood = kp.likelihoods.Laplace(scale=0.5)
        >>> float(likelihood(np.array([[1.0], [3.0]]), np.array([[1.0], [1.0]])))
        2.0

    References:
        - Murphy, 2012, Machine learning: a probabilistic perspective, section 7.4.
    """

    _parameters = ("scale",)
    _with_noise_scale = "Laplace(scale=None)"

    def __init__(
        self,
        scale: Any = 1.0,
        *,
        reduction: str = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(reduction=reduction, name=name, dtype=dtype)
        self.scale = positive_or_none("Laplace", "scale", scale)
        self._outputs_per_target = 2 if scale is None else 1

    def mean(self, outputs: Any) -> Any:
        """The outputs; with scale=None, their first half."""
        return self._median_and_scale(self._checked(outputs))[0]

    def variance(self, outputs: Any) -> Any:
        """2 scale^2, for each of the targets."""
        median, scale = self._median_and_scale(self._checked(outputs))
        return 2.0 * ops.square(ops.zeros_like(median) + scale)

    def _median_and_scale(self, outputs: Any) -> tuple[Any, Any]:
        if self.scale is None:
            return self._halves(outputs)
        return outputs, constant(self.scale, outputs.dtype)

    def _log_density(self, y: Any, outputs: Any) -> Any:
        if self.scale is None:
            median, scale = self._halves(outputs)
            return -ops.abs(y - median) / scale - ops.log(2.0 * scale)
        z = (y - outputs) * constant(np.divide(1.0, self.scale), outputs.dtype)
        return -ops.abs(z) - constant(np.log(np.multiply(2.0, self.scale)), outputs.dtype)

    def _distribution(self, outputs: Any) -> Any:
        median, scale = self._median_and_scale(outputs)
        return backend.distribution("Laplace", loc=median, scale=scale)
