"""The half-normal prior."""

from typing import Any

import numpy as np
from keras import ops

from keras_priors.priors.prior import Prior
from keras_priors.priors.special import mean_over
from keras_priors.utils.export import export
from keras_priors.utils.parameters import positive


@export("keras_priors")
class HalfNormalPrior(Prior):
    """Half-normal prior: |N(0, scale^2)|, for weights of at least zero.

        log p(w) = sum_i [ -w_i^2 / (2 scale^2) + log(2 / pi) / 2 - log scale ]   (nats)

    for w_i >= 0. Below zero the penalty is +inf: train with `kernel_constraint=prior.constraint()`.

    Args:
        scale: float or array that broadcasts against the weight, greater than 0. Defaults to 1.
        num_data: integer or None, the number of observations whose mean is the loss.
            Defaults to None: see `keras_priors.set_num_data`.

    Raises:
        TypeError: a parameter is not a number or an array of numbers.
        ValueError: a parameter is not finite, `scale` is not positive, or the shapes do not
            broadcast (against the weight: at the first weight).

    Example:
        >>> import keras_priors as kp
        >>> round(float(kp.HalfNormalPrior(1.0).log_prob([0.0, 1.0])), 4)
        -0.9516
    """

    _parameters = ("scale",)
    _library_name = "HalfNormal"

    def __init__(self, scale: Any = 1.0, *, num_data: int | None = None) -> None:
        super().__init__(num_data=num_data)
        self.scale = positive("HalfNormalPrior", "scale", scale)
        self._log_constant = 0.5 * float(np.log(2.0 / np.pi)) - mean_over(np.log(self.scale))

    @property
    def support(self) -> tuple[Any, Any]:
        """[0, inf)."""
        return 0.0, np.inf

    def _log_density(self, w: Any) -> Any:
        # Closed form: fewer passes than the library's, which also costs seconds to import.
        return -0.5 * ops.square(w / self._like(self.scale, w))
