"""The log-normal prior."""

from typing import Any

import numpy as np
from keras import ops

from keras_priors.priors.prior import Prior
from keras_priors.priors.special import LOG_2PI, mean_over
from keras_priors.utils.export import export
from keras_priors.utils.parameters import check_broadcast, positive, real


@export("keras_priors")
class LogNormalPrior(Prior):
    """Log-normal prior: log w_i ~ N(loc, scale^2), for weights above zero.

        log p(w) = sum_i [ -(log w_i - loc)^2 / (2 scale^2) - log(w_i scale sqrt(2 pi)) ]  (nats)

    At and below zero the penalty is +inf: train with `kernel_constraint=prior.constraint()`.

    Args:
        loc: float or array that broadcasts against the weight, the mean of log w. Defaults to 0.
        scale: float or array, greater than 0, the standard deviation of log w. Defaults to 1.
        num_data: integer or None, the number of observations whose mean is the loss.
            Defaults to None: see `keras_priors.set_num_data`.

    Raises:
        TypeError: a parameter is not a number or an array of numbers.
        ValueError: a parameter is not finite, `scale` is not positive, or the shapes do not
            broadcast.

    Example:
        >>> import keras_priors as kp
        >>> round(float(kp.LogNormalPrior(0.0, 1.0).log_prob([1.0, 1.0])), 4)
        -1.8379
    """

    _parameters = ("loc", "scale")
    _library_name = "LogNormal"
    _open_support = True

    def __init__(self, loc: Any = 0.0, scale: Any = 1.0, *, num_data: int | None = None) -> None:
        super().__init__(num_data=num_data)
        self.loc = real("LogNormalPrior", "loc", loc)
        self.scale = positive("LogNormalPrior", "scale", scale)
        check_broadcast("LogNormalPrior", loc=self.loc, scale=self.scale)
        self._log_constant = -0.5 * LOG_2PI - mean_over(np.log(self.scale))

    @property
    def support(self) -> tuple[Any, Any]:
        """(0, inf)."""
        return 0.0, np.inf

    def _log_density(self, w: Any) -> Any:
        # Closed form: fewer passes than the library's, which also costs seconds to import.
        log_w = ops.log(w)
        return -0.5 * ops.square(self._standardized(log_w, self.loc, self.scale)) - log_w
