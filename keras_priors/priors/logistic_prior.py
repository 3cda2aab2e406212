"""The logistic prior."""

from typing import Any

import numpy as np
from keras import ops

from keras_priors.priors.prior import Prior
from keras_priors.priors.special import mean_over
from keras_priors.utils.export import export
from keras_priors.utils.parameters import check_broadcast, positive, real


@export("keras_priors")
class LogisticPrior(Prior):
    """Logistic prior: bell-shaped, with exponential tails and a smooth top.

        log p(w) = sum_i [ -|z_i| - 2 log(1 + exp(-|z_i|)) - log scale ]   (nats)

    with z_i = (w_i - loc) / scale.

    Args:
        loc: float or array that broadcasts against the weight, the centre. Defaults to 0.
        scale: float or array, greater than 0; the standard deviation is pi scale / sqrt(3).
            Defaults to 1.
        num_data: integer or None, the number of observations whose mean is the loss.
            Defaults to None: see `keras_priors.set_num_data`.

    Raises:
        TypeError: a parameter is not a number or an array of numbers.
        ValueError: a parameter is not finite, `scale` is not positive, or the shapes do not
            broadcast (against the weight: at the first weight).

    Example:
        >>> import keras_priors as kp
        >>> round(float(kp.LogisticPrior(0.0, 1.0).log_prob([0.0, 2.0])), 4)
        -3.6402
    """

    _parameters = ("loc", "scale")
    _library_name = "Logistic"

    def __init__(self, loc: Any = 0.0, scale: Any = 1.0, *, num_data: int | None = None) -> None:
        super().__init__(num_data=num_data)
        self.loc = real("LogisticPrior", "loc", loc)
        self.scale = positive("LogisticPrior", "scale", scale)
        check_broadcast("LogisticPrior", loc=self.loc, scale=self.scale)
        self._log_constant = -mean_over(np.log(self.scale))

    def _log_density(self, w: Any) -> Any:
        # Closed form: torch has no logistic, and TFP's costs seconds to import.
        z = ops.abs(self._standardized(w, self.loc, self.scale))
        return -z - 2.0 * ops.log1p(ops.exp(-z))
