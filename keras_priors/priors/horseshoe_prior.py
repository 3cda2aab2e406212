"""The horseshoe prior."""

from typing import Any

import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.priors.exponential_integral import (
    log_of_squared_ratio,
    log_scaled_exponential_integral,
)
from keras_priors.priors.half_cauchy_prior import HalfCauchyPrior
from keras_priors.priors.latent_scale import LatentScale
from keras_priors.priors.prior import Prior
from keras_priors.priors.special import mean_over
from keras_priors.utils.export import export
from keras_priors.utils.parameters import positive


@export("keras_priors")
class HorseshoePrior(Prior):
    """Horseshoe prior: an infinite spike at zero and Cauchy tails, its local scales integrated out.

        w_i | lambda_i ~ N(0, scale^2 lambda_i^2),   lambda_i ~ HalfCauchy(0, 1)
        log p(w) = sum_i log[ exp(u_i) E1(u_i) / (scale sqrt(2 pi^3)) ],   u_i = w_i^2 / (2 scale^2)

    in nats, E1 the exponential integral (accurate to 1e-6, from Abramowitz and Stegun, 5.1.53 and
    5.1.56). The density is infinite at zero, like log(1 / |w|): there |w| is taken as the smallest
    normal float32, 1.2e-38, and the gradient as 0, so that a weight that starts at exactly zero
    stays there under the prior alone. `NUTS`, `HMC`, `SGLD` and `SGHMC` draw the lambda_i too, in
    w_i = scale lambda_i z_i with z_i ~ N(0, 1), whose density has no pole, and give the weights.

    Args:
        scale: float or array that broadcasts against the weight, greater than 0: the global
            scale, usually far below 1. Defaults to 1.
        num_data: integer or None, the number of observations whose mean is the loss.
            Defaults to None: see `keras_priors.set_num_data`.

    `distribution` is TFP's own, an approximation of the density; PyTorch has none, and there it
    is made of this density and this sampler. `sample` draws the local scales first, and is exact.

    Raises:
        TypeError: `scale` is not a number or an array of numbers.
        ValueError: `scale` is not finite or not positive, or does not broadcast against the
            weight (at the first weight).

    Example:
        >>> import keras_priors as kp
        >>> round(float(kp.HorseshoePrior(1.0).log_prob([0.5, 2.0])), 3)
        -4.536

    References:
        - Carvalho, Polson and Scott, 2010, The horseshoe estimator for sparse signals, section 2
          and theorem 1.
    """

    _parameters = ("scale",)

    def __init__(self, scale: Any = 1.0, *, num_data: int | None = None) -> None:
        super().__init__(num_data=num_data)
        self.scale = positive("HorseshoePrior", "scale", scale)
        self._log_constant = -mean_over(np.log(self.scale)) - 0.5 * float(np.log(2.0 * np.pi**3))

    @property
    def local_scale(self) -> LatentScale:
        """lambda."""
        return LatentScale(
            name="local_scale",
            prior=HalfCauchyPrior(1.0),
            per="element",
            loc=0.0,
            initial=1.0,
            scale_of=lambda s: self._like(self.scale, s) * s,
        )

    def sample(self, shape: Any, seed: Any = None) -> Any:
        """Draw one weight tensor of `shape`, in float32: its local scales, then the weight."""
        shape = tuple(shape)
        self.check_shape(shape)
        seed = backend.as_seed(seed)
        z = [backend.standard_normal(shape, backend.fold_in(seed, k)) for k in range(3)]
        # A ratio of two standard normals is a standard Cauchy.
        return ops.convert_to_tensor(self._like(self.scale, z[0]) * z[0] * ops.abs(z[1] / z[2]))

    def _distribution(self, shape: tuple[int, ...], dtype: str, broadcast: bool) -> Any:
        parameters = self._tensors(shape if broadcast else None, dtype)
        return backend.distribution_from(
            "Horseshoe", parameters, shape, self._elementwise, self.sample
        )

    def _elementwise(self, w: Any) -> Any:
        constant = -np.log(self.scale) - 0.5 * float(np.log(2.0 * np.pi**3))
        return self._log_density(w) + self._like(constant, w)

    def _log_density(self, w: Any) -> Any:
        log_u = log_of_squared_ratio(w, self._like(self.scale, w))
        return log_scaled_exponential_integral(log_u)
