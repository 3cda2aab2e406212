"""The uniform prior."""

from typing import Any

import numpy as np

from keras_priors.priors.prior import Prior
from keras_priors.priors.special import mean_over
from keras_priors.utils.export import export
from keras_priors.utils.parameters import check_broadcast, check_ordered, real


@export("keras_priors")
class UniformPrior(Prior):
    """Uniform prior on [low, high]: a box in which the likelihood alone decides.

        log p(w) = sum_i [ -log(high - low) ] for low <= w_i <= high, -inf elsewhere   (nats)

    Outside, the penalty is +inf: train with `kernel_constraint=prior.constraint()`.

    Args:
        low: float or array that broadcasts against the weight, the lower bound.
        high: float or array, greater than `low`, the upper bound.
        num_data: integer or None, the number of observations whose mean is the loss.
            Defaults to None: see `keras_priors.set_num_data`.

    Raises:
        TypeError: a parameter is not a number or an array of numbers.
        ValueError: a parameter is not finite, `low` is not less than `high`, or the shapes do not
            broadcast (against the weight: at the first weight).

    Example:
        >>> import keras_priors as kp
        >>> prior = kp.UniformPrior(-1.0, 1.0)
        >>> round(float(prior.log_prob([0.0, 0.5])), 4)
        -1.3863
        >>> float(prior.log_prob([0.0, 2.0]))
        -inf
    """

    _parameters = ("low", "high")
    _library_name = "Uniform"

    def __init__(self, low: Any, high: Any, *, num_data: int | None = None) -> None:
        super().__init__(num_data=num_data)
        self.low = real("UniformPrior", "low", low)
        self.high = real("UniformPrior", "high", high)
        check_broadcast("UniformPrior", low=self.low, high=self.high)
        check_ordered("UniformPrior", self.low, self.high)
        self._log_constant = -mean_over(np.log(np.asarray(self.high) - self.low))

    @property
    def support(self) -> tuple[Any, Any]:
        """[low, high]."""
        return self.low, self.high

    def _log_density(self, w: Any) -> Any:
        # Zero, with a gradient: that of torch's is no function of the weight, and `backward`
        # refuses it.
        return 0.0 * w
