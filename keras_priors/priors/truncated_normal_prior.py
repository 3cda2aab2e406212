"""The truncated normal prior."""

from typing import Any

import numpy as np
from keras import ops

from keras_priors.priors.prior import Prior
from keras_priors.priors.special import LOG_2PI, log_normal_mass, mean_over
from keras_priors.utils.export import export
from keras_priors.utils.parameters import (
    bound,
    check_broadcast,
    check_ordered,
    positive,
    real,
    to_config,
)


@export("keras_priors")
class TruncatedNormalPrior(Prior):
    """Normal prior restricted to [low, high].

        log p(w) = sum_i [ -z_i^2 / 2 - log scale - log(2 pi) / 2 - log(Phi(b) - Phi(a)) ]   (nats)

    for low <= w_i <= high and -inf elsewhere; z_i, a and b are w_i, low and high less `loc`,
    divided by `scale`. Outside, the penalty is +inf: train with
    `kernel_constraint=prior.constraint()`.

    Args:
        loc: float or array that broadcasts against the weight, the mean before truncation.
            Defaults to 0.
        scale: float or array, greater than 0, the standard deviation before truncation.
            Defaults to 1.
        low: float or array, or None (the default) for no lower bound.
        high: float or array, greater than `low`, or None (the default) for no upper bound.
        num_data: integer or None, the number of observations whose mean is the loss.
            Defaults to None: see `keras_priors.set_num_data`.

    The native distributions draw reliably where the interval begins within some five `scale` of
    `loc` (TFP samples in float32); the density is accurate everywhere.

    Raises:
        TypeError: a parameter is not a number or an array of numbers.
        ValueError: a parameter is not finite, `scale` is not positive, `low` is not less than
            `high`, there is no bound at all, or the shapes do not broadcast (against the weight: at
            the first weight).

    Example:
        >>> import keras_priors as kp
        >>> prior = kp.TruncatedNormalPrior(0.0, 1.0, low=-1.0, high=2.0)
        >>> round(float(prior.log_prob([0.0, 1.0])), 4)
        -1.9375
    """

    _parameters = ("loc", "scale", "low", "high")
    _library_name = "TruncatedNormal"

    def __init__(
        self,
        loc: Any = 0.0,
        scale: Any = 1.0,
        low: Any = None,
        high: Any = None,
        *,
        num_data: int | None = None,
    ) -> None:
        super().__init__(num_data=num_data)
        owner = "TruncatedNormalPrior"
        if low is None and high is None:
            raise ValueError(
                "TruncatedNormalPrior needs a bound. Received: low=None and high=None. "
                "Give `low`, `high` or both, or use NormalPrior."
            )
        self.loc = real(owner, "loc", loc)
        self.scale = positive(owner, "scale", scale)
        self.low = bound(owner, "low", low, -np.inf)
        self.high = bound(owner, "high", high, np.inf)
        check_broadcast(owner, loc=self.loc, scale=self.scale, low=self.low, high=self.high)
        check_ordered(owner, self.low, self.high)
        a, b = ((np.asarray(edge) - self.loc) / self.scale for edge in (self.low, self.high))
        # In float64 and once: TFP's float32 is 1e-4 nats off where only a tail is left.
        log_scale = mean_over(np.log(self.scale))
        self._log_constant = -0.5 * LOG_2PI - log_scale - mean_over(log_normal_mass(a, b))

    @property
    def support(self) -> tuple[Any, Any]:
        """[low, high]."""
        return self.low, self.high

    def _log_density(self, w: Any) -> Any:
        return -0.5 * ops.square(self._standardized(w, self.loc, self.scale))

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments, JSON-serializable; a bound that is infinite everywhere is None."""
        config = super().get_config()
        for name in ("low", "high"):
            value = getattr(self, name)
            config[name] = None if np.all(np.isinf(value)) else to_config(value)
        return config
