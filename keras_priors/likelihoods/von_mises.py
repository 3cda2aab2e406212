"""The likelihood of angles."""

import math
from typing import Any

from keras import ops

from keras_priors import backend
from keras_priors.likelihoods.elementwise import ElementwiseLikelihood
from keras_priors.likelihoods.information import diagonal
from keras_priors.likelihoods.parameters import positive_or_none
from keras_priors.likelihoods.special import log_bessel_i0
from keras_priors.utils.export import export
from keras_priors.utils.parameters import constant


@export()
class VonMises(ElementwiseLikelihood):
    """Angles, in radians, around the direction f: times of the day, headings, phases.

        log p(y | f) = sum_d [ k cos(y_d - f_d) - log I_0(k) - log(2 pi) ]        (nats)

    a density over a circle, so that y, f and either plus 2 pi are the same. For a large
    concentration k it is nearly normal with the variance 1 / k.

    Args:
        concentration: float or vector with one entry for each target, greater than 0, k. None: it
            is an output too, k = 1e-6 + softplus(rho), as of `keras_priors.layers.NoiseScale`.
            Defaults to 1.
        reduction, name, dtype: see `Likelihood`.

    Shapes:
        outputs (n, ..., d), directions; with concentration=None (n, ..., 2 d), first all
        directions, then all rho. Targets (n, ..., d), or (n, ...) where d is 1: any finite
        numbers.

        `mean` is the direction f, from -pi to pi, `variance` the circular one, 1 - E cos(y - f),
        from 0 to 1, and `sample` from -pi to pi. What a `keras_priors.Predictive` makes of them by
        arithmetic, such as intervals, holds where angles do not cross pi: turn them so.

    Raises:
        TypeError: `concentration` is not a number or a vector of numbers.
        ValueError: `concentration` is not positive or does not fit the outputs, the target does
            not fit the outputs, or `reduction="sum"`.

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> likelihood = kp.likelihoods.VonMises(concentration=2.0)
        >>> noon, midnight = np.array([[0.0], [np.pi]]), np.array([[0.0], [-np.pi]])
        >>> round(float(likelihood(noon, midnight)), 4)         # log(2 pi I_0(2)) - 2
        0.6619

    References:
        - Mardia and Jupp, 2000, Directional statistics, section 3.5.4.
    """

    _parameters = ("concentration",)
    _with_noise_scale = "VonMises(concentration=None)"

    def __init__(
        self,
        concentration: Any = 1.0,
        *,
        reduction: str = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(reduction=reduction, name=name, dtype=dtype)
        self.concentration = positive_or_none("VonMises", "concentration", concentration)
        self._outputs_per_target = 2 if concentration is None else 1

    def mean(self, outputs: Any) -> Any:
        """The direction f, from -pi to pi."""
        f, _ = self._direction_and_concentration(self._checked(outputs))
        return ops.arctan2(ops.sin(f), ops.cos(f))

    def variance(self, outputs: Any) -> Any:
        """The circular variance 1 - I_1(k) / I_0(k), from 0 to 1."""
        _, k = self._direction_and_concentration(self._checked(outputs))
        return 1.0 - self._mean_cosine(k)

    def _direction_and_concentration(self, outputs: Any) -> tuple[Any, Any]:
        if self.concentration is None:
            return self._halves(outputs)
        return outputs, ops.zeros_like(outputs) + constant(self.concentration, outputs.dtype)

    def _mean_cosine(self, k: Any) -> Any:
        """E cos(y - f) = I_1(k) / I_0(k)."""
        return backend.value_and_gradient(lambda k: ops.sum(log_bessel_i0(k)))(k)[1]

    def _log_density(self, y: Any, outputs: Any) -> Any:
        f, k = self._direction_and_concentration(outputs)
        # k (cos - 1) = -2 k sin^2 of the half: of a large k the two of the density cancel.
        at_peak = k - log_bessel_i0(k) - math.log(2.0 * math.pi)
        return at_peak - 2.0 * k * ops.square(ops.sin(0.5 * (y - f)))

    def _information(self, y: Any, outputs: Any) -> Any:
        """k A of the direction, 1 - A / k - A^2 of k, A = E cos(y - f); orthogonal."""
        del y
        _, k = self._direction_and_concentration(outputs)
        if self.concentration is not None:
            return diagonal(k * self._mean_cosine(k))
        second = backend.value_and_gradient(lambda k: ops.sum(self._mean_cosine(k)))(k)[1]
        slope = ops.sigmoid(outputs[..., k.shape[-1] :])  # of k by rho
        return diagonal(k * self._mean_cosine(k), second * ops.square(slope))

    def _distribution(self, outputs: Any) -> Any:
        f, k = self._direction_and_concentration(outputs)
        return backend.distribution("VonMises", loc=f, concentration=k)
