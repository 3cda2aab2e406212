"""The Cauchy prior."""

from typing import Any

import numpy as np
from keras import ops

from keras_priors.priors.prior import Prior
from keras_priors.priors.special import mean_over
from keras_priors.utils.export import export
from keras_priors.utils.parameters import check_broadcast, positive, real


@export("keras_priors")
class CauchyPrior(Prior):
    """Cauchy prior: no mean, no variance, and tails that leave large weights alone.

        log p(w) = sum_i [ -log(1 + z_i^2) - log(pi scale) ],   z_i = (w_i - loc) / scale   (nats)

    Args:
        loc: float or array that broadcasts against the weight, the centre. Defaults to 0.
        scale: float or array, greater than 0: half of the mass is within `scale` of `loc`.
            Defaults to 1.
        num_data: integer or None, the number of observations whose mean is the loss.
            Defaults to None: see `keras_priors.set_num_data`.

    Raises:
        TypeError: a parameter is not a number or an array of numbers.
        ValueError: a parameter is not finite, `scale` is not positive, or the shapes do not
            broadcast (against the weight: at the first weight).

    Example:
        >>> import keras_priors as kp
        >>> round(float(kp.CauchyPrior(0.0, 2.5).log_prob([0.0, 2.5])), 4)
        -4.8152

    References:
        - Gelman et al., 2008, A weakly informative default prior distribution for logistic and
          other regression models: Cauchy(0, 2.5) on standardized inputs.
    """

    _parameters = ("loc", "scale")
    _library_name = "Cauchy"

    def __init__(self, loc: Any = 0.0, scale: Any = 1.0, *, num_data: int | None = None) -> None:
        super().__init__(num_data=num_data)
        self.loc = real("CauchyPrior", "loc", loc)
        self.scale = positive("CauchyPrior", "scale", scale)
        check_broadcast("CauchyPrior", loc=self.loc, scale=self.scale)
        self._log_constant = -mean_over(np.log(np.pi * np.asarray(self.scale)))

    def _log_density(self, w: Any) -> Any:
        # Closed form: fewer passes than the library's, which also costs seconds to import.
        return -ops.log1p(ops.square(self._standardized(w, self.loc, self.scale)))
