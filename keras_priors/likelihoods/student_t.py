"""The Student t likelihood."""

import math
from typing import Any

import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.likelihoods.elementwise import ElementwiseLikelihood
from keras_priors.likelihoods.parameters import positive, positive_or_none
from keras_priors.utils.export import export
from keras_priors.utils.parameters import constant, tensor


@export()
class StudentT(ElementwiseLikelihood):
    """Student t noise around the outputs: regression that outliers do not drag along.

        -log p(y | f) = sum_d [ (df + 1)/2 log(1 + z_d^2 / df) + log scale + log(df pi)/2
                                + log Gamma(df/2) - log Gamma((df + 1)/2) ]        (nats)
        z_d = (y_d - f_d) / scale

    `df=1` is Cauchy noise; as `df` grows the noise becomes normal.

    Args:
        df: float or vector with one entry for each target, greater than 0, the degrees of
            freedom.
        scale: float or vector with one entry for each target, greater than 0. The standard
            deviation is scale * sqrt(df / (df - 2)) for df > 2. None: it is an output too,
            scale = 1e-6 + softplus(rho), as of `keras_priors.layers.NoiseScale`. Defaults to 1.
        reduction, name, dtype: see `Likelihood`.

    Shapes:
        outputs (n, ..., d), the centres; with scale=None (n, ..., 2 d), first all centres, then
        all rho. Targets (n, ..., d), or (n, ...) where d is 1.

    Raises:
        TypeError: a parameter is not a number or a vector of numbers.
        ValueError: a parameter is not positive or does not fit the outputs, the target does not
            fit the outputs, `reduction="sum"`; or the mean or variance is asked for and
            `df` is at most 1, where neither exists.

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> likelihood = kp.likelihoods.StudentT(df=1.0)
        >>> round(float(likelihood(np.array([[1.0]]), np.array([[0.0]]))), 4)   # log(2 pi)
        1.8379

    References:
        - Lange, Little and Taylor, 1989, Robust statistical modeling using the t distribution,
          equation 1.
    """

    _parameters = ("df", "scale")
    _with_noise_scale = "StudentT(df, scale=None)"

    def __init__(
        self,
        df: Any,
        scale: Any = 1.0,
        *,
        reduction: str = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(reduction=reduction, name=name, dtype=dtype)
        self.df = positive("StudentT", "df", df)
        self.scale = positive_or_none("StudentT", "scale", scale)
        self._outputs_per_target = 2 if scale is None else 1

    def mean(self, outputs: Any) -> Any:
        """The centres; refused where `df` is at most 1."""
        self._check_moments("mean")
        return self._centre_and_scale(self._checked(outputs))[0]

    def variance(self, outputs: Any) -> Any:
        """scale^2 df / (df - 2) for each of the targets; infinite where `df` is at most 2."""
        self._check_moments("variance")
        centre, scale = self._centre_and_scale(self._checked(outputs))
        df = np.asarray(self.df)
        unit = np.where(df > 2.0, df / np.where(df > 2.0, df - 2.0, 1.0), np.inf)
        return ops.square(ops.zeros_like(centre) + scale) * tensor(unit, centre.dtype)

    def _centre_and_scale(self, outputs: Any) -> tuple[Any, Any]:
        if self.scale is None:
            return self._halves(outputs)
        return outputs, constant(self.scale, outputs.dtype)

    def _check_moments(self, what: str) -> None:
        if np.any(np.asarray(self.df) <= 1.0):
            raise ValueError(
                f"A Student t distribution has a {what} for df > 1 only. Received: "
                f"df={self.df!r}. Use quantiles or draws, or a larger `df`."
            )

    def _log_density(self, y: Any, outputs: Any) -> Any:
        # The constant in float64: the difference of two log Gammas in float32 is off by half a
        # nat at df = 1e6 in `torch.distributions`.
        df, scale = np.asarray(self.df), 1.0 if self.scale is None else np.asarray(self.scale)
        log_gammas = np.vectorize(lambda x: math.lgamma(0.5 * x) - math.lgamma(0.5 * (x + 1.0)))
        log_norm = np.log(scale) + 0.5 * np.log(df * math.pi) + log_gammas(df)
        power = constant(0.5 * (df + 1.0), outputs.dtype)
        inverse = constant(1.0 / (scale * np.sqrt(df)), outputs.dtype)
        log_norm = constant(log_norm, outputs.dtype)
        if self.scale is None:
            outputs, scale = self._halves(outputs)
            inverse, log_norm = inverse / scale, log_norm + ops.log(scale)
        return -power * ops.log1p(ops.square((y - outputs) * inverse)) - log_norm

    def _distribution(self, outputs: Any) -> Any:
        centre, scale = self._centre_and_scale(outputs)
        df = constant(self.df, outputs.dtype)
        return backend.distribution("StudentT", df=df, loc=centre, scale=scale)
