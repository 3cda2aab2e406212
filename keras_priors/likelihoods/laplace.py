"""The Laplace likelihood."""

from typing import Any

import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.likelihoods.elementwise import ElementwiseLikelihood
from keras_priors.likelihoods.parameters import positive
from keras_priors.utils.export import export
from keras_priors.utils.parameters import constant


@export()
class Laplace(ElementwiseLikelihood):
    """Laplace noise around the outputs: heavier tails than the normal, fit by the median.

        -log p(y | f) = sum_d [ |y_d - f_d| / scale_d + log(2 scale_d) ]        (nats)

    It is what to write where one would write `loss="mae"`: on d outputs, `mae` is scale / d times
    this (and a constant), so that beside it a prior has another weight.

    Args:
        scale: float or vector with one entry for each output, greater than 0, the mean absolute
            deviation of the noise; its standard deviation is sqrt(2) times that. Defaults to 1.
        reduction, name, dtype: see `Likelihood`.

    Shapes:
        outputs (n, ..., d), the medians; targets (n, ..., d), or (n, ...) where d is 1.

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

    def __init__(
        self,
        scale: Any = 1.0,
        *,
        reduction: str = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(reduction=reduction, name=name, dtype=dtype)
        self.scale = positive("Laplace", "scale", scale)

    def mean(self, outputs: Any) -> Any:
        """The outputs."""
        return self._checked(outputs)

    def variance(self, outputs: Any) -> Any:
        """2 scale^2, for each of the outputs."""
        outputs = self._checked(outputs)
        return ops.zeros_like(outputs) + constant(2.0 * np.square(self.scale), outputs.dtype)

    def _log_density(self, y: Any, outputs: Any) -> Any:
        z = (y - outputs) * constant(np.divide(1.0, self.scale), outputs.dtype)
        return -ops.abs(z) - constant(np.log(np.multiply(2.0, self.scale)), outputs.dtype)

    def _distribution(self, outputs: Any) -> Any:
        scale = constant(self.scale, outputs.dtype)
        return backend.distribution("Laplace", loc=outputs, scale=scale)
