"""The half Student t prior."""

import math
from typing import Any

import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.priors.prior import Prior
from keras_priors.priors.special import log_student_t_constant, mean_over
from keras_priors.utils.export import export
from keras_priors.utils.parameters import check_broadcast, positive


@export("keras_priors")
class HalfStudentTPrior(Prior):
    """Half Student t prior: |StudentT(df, 0, scale)|, for weights of at least zero.

        log p(w) = sum_i [ log 2 - (df + 1) / 2 log(1 + z_i^2 / df) - log scale
                           + log Gamma((df + 1) / 2) - log Gamma(df / 2) - log(pi df) / 2 ]

    in nats for w_i >= 0, with z_i = w_i / scale. Below zero the penalty is +inf: train with
    `kernel_constraint=prior.constraint()`.

    Args:
        df: float or array that broadcasts against the weight, greater than 0, the degrees of
            freedom: 1 is a half-Cauchy, infinity a half-normal.
        scale: float or array, greater than 0. Defaults to 1.
        num_data: integer or None, the number of observations whose mean is the loss.
            Defaults to None: see `keras_priors.set_num_data`.

    Raises:
        TypeError: a parameter is not a number or an array of numbers.
        ValueError: a parameter is not finite, `df` or `scale` is not positive, or the shapes do not
            broadcast (against the weight: at the first weight).

    Example:
        >>> import keras_priors as kp
        >>> round(float(kp.HalfStudentTPrior(3.0, 1.0).log_prob([0.0, 2.0])), 4)
        -2.3101

    References:
        - Gelman, 2006, Prior distributions for variance parameters in hierarchical models,
          section 3.2.
    """

    _parameters = ("df", "scale")

    def __init__(self, df: Any, scale: Any = 1.0, *, num_data: int | None = None) -> None:
        super().__init__(num_data=num_data)
        self.df = positive("HalfStudentTPrior", "df", df)
        self.scale = positive("HalfStudentTPrior", "scale", scale)
        check_broadcast("HalfStudentTPrior", df=self.df, scale=self.scale)
        constant = mean_over(log_student_t_constant(self.df)) - mean_over(np.log(self.scale))
        self._log_constant = constant + math.log(2.0)

    @property
    def support(self) -> tuple[Any, Any]:
        """[0, inf)."""
        return 0.0, np.inf

    def _distribution(self, shape: tuple[int, ...], dtype: str, broadcast: bool) -> Any:
        parameters = self._tensors(shape if broadcast else None, dtype)
        loc = ops.zeros_like(parameters["scale"])
        return backend.distribution("HalfStudentT", loc=loc, **parameters)

    def _log_density(self, w: Any) -> Any:
        # Closed form, its constant in float64, for the reason in `StudentTPrior`.
        df = self._like(self.df, w)
        z = w / self._like(self.scale, w)
        return -0.5 * (df + 1.0) * ops.log1p(ops.square(z) / df)
