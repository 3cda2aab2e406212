"""The likelihood whose most likely output is a quantile."""

from typing import Any

import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.likelihoods.elementwise import ElementwiseLikelihood
from keras_priors.likelihoods.information import location_and_scale
from keras_priors.likelihoods.parameters import positive, positive_or_none
from keras_priors.utils.export import export
from keras_priors.utils.parameters import constant


@export()
class AsymmetricLaplace(ElementwiseLikelihood):
    """Quantile regression: the output of most likelihood is the q-quantile of the targets.

        -log p(y | f) = sum_d [ rho_q(y_d - f_d) / scale + log scale - log(q (1 - q)) ]    (nats)
        rho_q(u) = q u where u > 0, -(1 - q) u else

    rho is the pinball loss: at the scale 1 the loss is the pinball loss of the outputs, and a
    constant. As a model of noise it has the probability q below f, which makes posteriors of
    quantiles (Yu and Moyeed, 2001); their spread is in proportion to `scale`, so let it be an
    output, or check it.

    Args:
        quantile: float or vector with one entry for each target, between 0 and 1, q. With the
            target repeated, several outputs are several of its quantiles. Defaults to 0.5, where
            it is the Laplace likelihood with twice its scale.
        scale: float or vector with one entry for each target, greater than 0. None: it is an
            output too, scale = 1e-6 + softplus(rho), as of `keras_priors.layers.NoiseScale`.
            Defaults to 1.
        reduction, name, dtype: see `Likelihood`.

    Shapes:
        outputs (n, ..., d), quantiles; with scale=None (n, ..., 2 d), first all quantiles, then
        all rho. Targets (n, ..., d), or (n, ...) where d is 1.

    Raises:
        TypeError: a parameter is not a number or a vector of numbers.
        ValueError: `quantile` is not between 0 and 1, `scale` is not positive, one of them or the
            target does not fit the outputs, or `reduction="sum"`.

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> likelihood = kp.likelihoods.AsymmetricLaplace(quantile=0.9)
        >>> y, quantile = np.array([[1.0]]), np.array([[0.0]])
        >>> round(float(likelihood(y, quantile)), 4)                  # 0.9 - log 0.09
        3.3079

    References:
        - Yu and Moyeed, 2001, Bayesian quantile regression, Statistics and Probability Letters
          54(4), equation 3.
        - Koenker and Bassett, 1978, Regression quantiles, Econometrica 46(1), for the loss.
    """

    _parameters = ("quantile", "scale")
    _with_noise_scale = "AsymmetricLaplace(quantile, scale=None)"

    def __init__(
        self,
        quantile: Any = 0.5,
        scale: Any = 1.0,
        *,
        reduction: str = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(reduction=reduction, name=name, dtype=dtype)
        self.quantile = positive("AsymmetricLaplace", "quantile", quantile)
        if np.any(np.asarray(self.quantile) >= 1.0):
            raise ValueError(
                "`quantile` of AsymmetricLaplace must be between 0 and 1. "
                f"Received: quantile={quantile!r}. For 90% write 0.9."
            )
        self.scale = positive_or_none("AsymmetricLaplace", "scale", scale)
        self._outputs_per_target = 2 if scale is None else 1

    def mean(self, outputs: Any) -> Any:
        """f + scale (1 - 2 q) / (q (1 - q))."""
        f, scale = self._location_and_scale(self._checked(outputs))
        q = np.asarray(self.quantile)
        return f + scale * constant((1.0 - 2.0 * q) / (q * (1.0 - q)), f.dtype)

    def variance(self, outputs: Any) -> Any:
        """scale^2 (1 - 2 q + 2 q^2) / (q (1 - q))^2."""
        f, scale = self._location_and_scale(self._checked(outputs))
        q = np.asarray(self.quantile)
        unit = (1.0 - 2.0 * q + 2.0 * q**2) / (q * (1.0 - q)) ** 2
        return ops.square(ops.zeros_like(f) + scale) * constant(unit, f.dtype)

    def _location_and_scale(self, outputs: Any) -> tuple[Any, Any]:
        if self.scale is None:
            return self._halves(outputs)
        return outputs, constant(self.scale, outputs.dtype)

    def _log_density(self, y: Any, outputs: Any) -> Any:
        f, scale = self._location_and_scale(outputs)
        q = np.asarray(self.quantile)
        up, down = constant(q, f.dtype), constant(1.0 - q, f.dtype)
        z = (y - f) / scale
        log_scale = ops.log(scale) if self.scale is None else constant(np.log(self.scale), f.dtype)
        log_norm = constant(np.log(q * (1.0 - q)), f.dtype)
        return log_norm - log_scale - ops.where(z > 0.0, up * z, -down * z)

    def _information(self, y: Any, outputs: Any) -> Any:
        """q (1 - q) / scale^2 of the quantile, and 1 / scale^2 of the scale, orthogonal."""
        del y
        # The density has no curvature but at its peak: only its mean tells.
        q = np.asarray(self.quantile)
        return location_and_scale(self, outputs, constant(q * (1.0 - q), outputs.dtype), 1.0)

    def _distribution(self, outputs: Any) -> Any:
        f, scale = self._location_and_scale(outputs)
        q = constant(self.quantile, f.dtype)
        unit = backend.distribution("Exponential", rate=ops.ones_like(f))

        def draw(shape: Any, seed: Any) -> Any:
            seed = backend.as_seed(seed)
            extra = tuple(shape)[: len(shape) - len(f.shape)]
            up, down = (backend.sample(unit, extra, backend.fold_in(seed, k)) for k in range(2))
            return f + scale * (up / q - down / (1.0 - q))

        def log_prob(y: Any) -> Any:
            return self._log_density(y, outputs)

        return backend.distribution_from("QuantileLaplace", {}, tuple(f.shape), log_prob, draw)
