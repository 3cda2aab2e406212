"""The Laplace prior."""

import math
from typing import Any

import numpy as np
from keras import ops

from keras_priors.priors.prior import Prior
from keras_priors.priors.special import mean_over
from keras_priors.utils.export import export
from keras_priors.utils.parameters import check_broadcast, positive, real


@export("keras_priors")
class LaplacePrior(Prior):
    """Laplace prior: a peak at `loc` and exponential tails; its MAP is the lasso.

        log p(w) = sum_i [ -|w_i - loc| / scale - log(2 scale) ]   (nats)

    `keras.regularizers.L1(1 / (scale * num_data))` has the same gradient. At w_i = loc the
    gradient is 0, one of the subgradients.

    Args:
        loc: float or array that broadcasts against the weight, the centre. Defaults to 0.
        scale: float or array, greater than 0; the standard deviation is sqrt(2) scale.
            Defaults to 1.
        num_data: integer or None, the number of observations whose mean is the loss.
            Defaults to None: see `keras_priors.set_num_data`.

    Raises:
        TypeError: a parameter is not a number or an array of numbers.
        ValueError: a parameter is not finite, `scale` is not positive, or the shapes do not
            broadcast (against the weight: at the first weight).

    Example:
        >>> import keras_priors as kp
        >>> round(float(kp.LaplacePrior(0.0, 1.0).log_prob([0.0, 2.0])), 4)
        -3.3863

    References:
        - Tibshirani, 1996, Regression shrinkage and selection via the lasso, section 5.
    """

    _parameters = ("loc", "scale")
    _library_name = "Laplace"

    def __init__(self, loc: Any = 0.0, scale: Any = 1.0, *, num_data: int | None = None) -> None:
        super().__init__(num_data=num_data)
        self.loc = real("LaplacePrior", "loc", loc)
        self.scale = positive("LaplacePrior", "scale", scale)
        check_broadcast("LaplacePrior", loc=self.loc, scale=self.scale)
        self._log_constant = -mean_over(np.log(2.0 * np.asarray(self.scale)))

    def _log_density(self, w: Any) -> Any:
        # Closed form: fewer passes than the library's, which also costs seconds to import.
        # Not `ops.abs`: its gradient at exactly 0, where biases start, is 1 on JAX.
        z = self._standardized(w, self.loc, self.scale)
        return -z * ops.sign(z)

    def expected_log_prob(self, mean: Any, variance: Any) -> Any:
        """E[log p(w)] in nats under independent normals: the mean of a folded normal.

        E|w - loc| = s sqrt(2 / pi) exp(-d^2 / (2 s^2)) + d erf(d / (s sqrt(2))), d = mean - loc.
        """
        self.check_shape(tuple(mean.shape))
        loc, scale = self._like(self.loc, mean), self._like(self.scale, mean)
        # The floor keeps d / s and its derivatives finite in float32 where s goes to 0.
        s = ops.sqrt(self._at_least(variance, 1e-24))
        d = mean - loc
        r = d / s
        folded = s * math.sqrt(2.0 / math.pi) * ops.exp(-0.5 * ops.square(r))
        folded = folded + d * ops.erf(r * math.sqrt(0.5))
        return -ops.sum(folded / scale) + self._log_constant * math.prod(mean.shape)
