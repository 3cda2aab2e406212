"""The full-covariance normal posterior."""

from typing import Any

import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.posteriors.posterior import AddWeight, Posterior
from keras_priors.posteriors.scale import (
    checked_initial_scale,
    checked_stddev,
    initial_scale_for,
    log_of_noise,
    normal_entropy,
    softplus_inverse,
)
from keras_priors.posteriors.triangular import (
    TriangularInitializer,
    log_det_triangular,
    triangular,
)
from keras_priors.utils.export import export


@export()
class FullNormal(Posterior):
    """A normal with a full covariance L Lᵀ over the flattened weight.

    L is lower triangular with a softplus diagonal. Its variable has size^2 elements, so this is
    for small weights; above 16384 elements (1 GiB) it is refused.

    Args:
        initial_scale: float, the standard deviation to start with (independent elements).
            Defaults to None: as `MeanFieldNormal`.

    Raises:
        ValueError: `initial_scale` is not positive, or (when the layer is built) the weight is
            too large.

    Example:
        >>> import keras_priors as kp
        >>> layer = kp.VariationalDense(1, kernel_posterior="full")
        >>> layer.build((None, 3))
        >>> tuple(layer.kernel_posterior.covariance().shape)
        (3, 3)

    References:
        - Kucukelbir et al., 2017, Automatic differentiation variational inference, section 2.4,
          arXiv:1603.00788.
    """

    max_size = 16384
    """The most elements of a weight: L then takes 1 GiB."""

    _parameters = ("initial_scale",)

    def __init__(self, initial_scale: float | None = None) -> None:
        self.initial_scale = checked_initial_scale("FullNormal", initial_scale)

    def _check_weight(self) -> None:
        if self.size > self.max_size:
            raise ValueError(
                f"FullNormal holds a matrix of size^2 and is meant for weights of at most "
                f"{self.max_size} elements. Received: a weight of shape {self.shape}, "
                f"{self.size} elements. Use LowRankNormal(rank=...), MatrixNormal or "
                "MeanFieldNormal."
            )

    def _add_spread(self, add_weight: AddWeight, fan_in: int | None) -> None:
        """Create `scale_tril` of shape (size, size)."""
        scale = initial_scale_for(self.shape, self.initial_scale, fan_in)
        self.scale_tril = add_weight(
            "scale_tril", (self.size, self.size), TriangularInitializer(scale)
        )

    def mean(self) -> Any:
        """Mean of q: `loc`."""
        return self._location()

    def assign_stddev(self, value: Any) -> None:
        """Move the standard deviations to `value`; mean and correlations stay."""
        value = checked_stddev("FullNormal", value, self.shape)
        ratio = (value / ops.convert_to_numpy(self.stddev())).ravel()
        scale = ops.convert_to_numpy(triangular(self.scale_tril)) * ratio[:, None]
        np.fill_diagonal(scale, softplus_inverse(scale.diagonal()))
        self.scale_tril.assign(scale)

    def covariance(self) -> Any:
        """Covariance of the flattened weight, shape (size, size)."""
        scale = triangular(self.scale_tril)
        return ops.matmul(scale, ops.transpose(scale))

    def variance(self) -> Any:
        """Diagonal of the covariance, in the weight's shape."""
        scale = triangular(self.scale_tril)
        return ops.reshape(ops.sum(ops.square(scale), axis=1), self.shape)

    @property
    def noise_shape(self) -> tuple[int, ...]:
        """(size, 1)."""
        return (self.size, 1)

    def transform(self, noise: Any) -> Any:
        """loc + L e."""
        perturbation = ops.matmul(triangular(self.scale_tril), noise)
        return self._location() + ops.reshape(perturbation, self.shape)

    def distribution(self) -> Any:
        """A native multivariate normal over the flattened weight, shape (size,)."""
        return backend.distribution(
            "MultivariateNormalTriL",
            loc=ops.reshape(self.mean(), (self.size,)),
            scale_tril=triangular(self.scale_tril),
        )

    def density_of_draws(self, noise: Any) -> tuple[Any, Any]:
        """(log q(w) in nats (S,), its slope in w (S, D)) at the draws of noise (S, D, 1).

        Of the noise that made them: w - loc has lost the digits that L^-1 brings up.
        """
        noise = noise[..., 0]
        upper = ops.transpose(triangular(self.scale_tril))
        slope = -ops.transpose(ops.solve_triangular(upper, ops.transpose(noise), lower=False))
        return log_of_noise(noise) - log_det_triangular(self.scale_tril), slope

    def entropy(self) -> Any:
        """log|L| + (size / 2) log(2 pi e) nats."""
        return normal_entropy(log_det_triangular(self.scale_tril), self.size)

    def _expected_log_prob(self, prior: Any) -> Any:
        if prior.factorized:
            return super()._expected_log_prob(prior)
        columns = ops.transpose(triangular(self.scale_tril))
        square = prior.expected_square(ops.reshape(columns, (self.size, *self.shape)))
        if square is None:
            return self._by_native_kl(prior)
        return prior.log_prob(self.mean()) - square

    def _event_shape(self) -> tuple[int, ...]:
        return (int(np.prod(self.shape)),)
