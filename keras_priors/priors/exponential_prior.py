"""The exponential prior."""

from typing import Any

import numpy as np

from keras_priors.priors.prior import Prior
from keras_priors.priors.special import mean_over
from keras_priors.utils.export import export
from keras_priors.utils.parameters import positive


@export("keras_priors")
class ExponentialPrior(Prior):
    """Exponential prior, for weights of at least zero; its MAP is a non-negative lasso.

        log p(w) = sum_i [ -rate w_i + log rate ] for w_i >= 0   (nats)

    Below zero the penalty is +inf: train with `kernel_constraint=prior.constraint()`.

    Args:
        rate: float or array that broadcasts against the weight, greater than 0, the inverse of
            the mean. Defaults to 1.
        num_data: integer or None, the number of observations whose mean is the loss.
            Defaults to None: see `keras_priors.set_num_data`.

    Raises:
        TypeError: a parameter is not a number or an array of numbers.
        ValueError: a parameter is not finite, `rate` is not positive, or the shapes do not
            broadcast (against the weight: at the first weight).

    Example:
        >>> import keras_priors as kp
        >>> round(float(kp.ExponentialPrior(2.0).log_prob([0.0, 1.0])), 4)
        -0.6137
    """

    _parameters = ("rate",)
    _library_name = "Exponential"

    def __init__(self, rate: Any = 1.0, *, num_data: int | None = None) -> None:
        super().__init__(num_data=num_data)
        self.rate = positive("ExponentialPrior", "rate", rate)
        self._log_constant = mean_over(np.log(self.rate))

    @property
    def support(self) -> tuple[Any, Any]:
        """[0, inf)."""
        return 0.0, np.inf

    def _log_density(self, w: Any) -> Any:
        # Closed form: fewer passes than the library's, which also costs seconds to import.
        return -w * self._like(self.rate, w)
