"""The generalized normal prior."""

from typing import Any

import numpy as np
from keras import ops

from keras_priors.priors.prior import Prior
from keras_priors.priors.special import TINY, log_gamma, mean_over
from keras_priors.utils.export import export
from keras_priors.utils.parameters import check_broadcast, positive, real


@export("keras_priors")
class GeneralizedNormalPrior(Prior):
    """Generalized normal (exponential power) prior; its MAP is bridge regression.

        log p(w) = sum_i [ -(|w_i - loc| / scale)^power + log power - log(2 scale)
                           - log Gamma(1 / power) ]   (nats)

    Args:
        loc: float or array that broadcasts against the weight, the centre. Defaults to 0.
        scale: float or array, greater than 0. Defaults to 1.
        power: float or array, greater than 0: 1 is a Laplace; 2 (the default) is a normal with
            standard deviation scale / sqrt(2); below 1 the density has a cusp at `loc`, where
            its slope is infinite: the gradient there is taken as 0.
        num_data: integer or None, the number of observations whose mean is the loss.
            Defaults to None: see `keras_priors.set_num_data`.

    Raises:
        TypeError: a parameter is not a number or an array of numbers.
        ValueError: a parameter is not finite, `scale` or `power` is not positive, or the shapes do
            not broadcast (against the weight: at the first weight).

    Example:
        >>> import keras_priors as kp
        >>> round(float(kp.GeneralizedNormalPrior(0.0, 1.0, power=4.0).log_prob([0.0, 1.0])), 4)
        -2.1898

    References:
        - Nadarajah, 2005, A generalized normal distribution, equation 1.
        - Fu, 1998, Penalized regressions: the bridge versus the lasso, section 2.
    """

    _parameters = ("loc", "scale", "power")
    _library_name = "GeneralizedNormal"

    def __init__(
        self,
        loc: Any = 0.0,
        scale: Any = 1.0,
        power: Any = 2.0,
        *,
        num_data: int | None = None,
    ) -> None:
        super().__init__(num_data=num_data)
        self.loc = real("GeneralizedNormalPrior", "loc", loc)
        self.scale = positive("GeneralizedNormalPrior", "scale", scale)
        self.power = positive("GeneralizedNormalPrior", "power", power)
        check_broadcast("GeneralizedNormalPrior", loc=self.loc, scale=self.scale, power=self.power)
        constant = mean_over(np.log(self.power) - log_gamma(1.0 / np.asarray(self.power)))
        self._log_constant = constant - mean_over(np.log(2.0 * np.asarray(self.scale)))

    def _log_density(self, w: Any) -> Any:
        # Closed form: torch has none, and the gradient of TFP's at w = loc is NaN or infinite for
        # a power below 1. The floor is the smallest normal float32.
        z = self._at_least(ops.abs(self._standardized(w, self.loc, self.scale)), TINY)
        return -(z ** self._like(self.power, w))
