"""The mean-field normal posterior."""

from typing import Any

from keras import ops

from keras_priors import backend
from keras_priors.posteriors.posterior import AddWeight, Posterior
from keras_priors.posteriors.scale import (
    checked_initial_scale,
    constant_rho,
    initial_scale_for,
    log_of_noise,
    log_softplus,
    normal_entropy,
)
from keras_priors.priors.prior import Prior
from keras_priors.utils.export import export


@export()
class MeanFieldNormal(Posterior):
    """Independent normals: q(w) = prod_i N(w_i | loc_i, softplus(rho_i)^2).

    Two variables of the weight's shape: `loc` and `rho`. The softplus keeps the scale positive
    for any `rho`, and its logarithm is taken so that it stays finite where softplus underflows.

    Args:
        initial_scale: float, the standard deviation to start with. Defaults to None, which is
            0.1 / sqrt(fan_in): measured on nets of width 50, 400 and 2048 (ARCHITECTURE.md,
            "Defaults"). Much larger, and the noise drowns the data term until the optimizer has
            shrunk it; wide nets then collapse to the prior.

    Raises:
        ValueError: `initial_scale` is not positive.

    Example:
        >>> import keras_priors as kp
        >>> layer = kp.VariationalDense(3, kernel_posterior=kp.posteriors.MeanFieldNormal(0.05))
        >>> layer.build((None, 2))
        >>> layer.kernel_posterior.stddev().shape == (2, 3)
        True

    References:
        - Blundell et al., 2015, Weight uncertainty in neural networks, section 3.2,
          arXiv:1505.05424.
    """

    _parameters = ("initial_scale",)
    sign_symmetric = True
    independent = True

    def __init__(self, initial_scale: float | None = None) -> None:
        self.initial_scale = checked_initial_scale("MeanFieldNormal", initial_scale)

    def _add_spread(self, add_weight: AddWeight, fan_in: int | None) -> None:
        """Create `rho`, of the weight's shape."""
        scale = initial_scale_for(self.shape, self.initial_scale, fan_in)
        self.rho = add_weight("rho", self.shape, constant_rho(scale))

    def mean(self) -> Any:
        """Mean of q: `loc`."""
        return self._location()

    def stddev(self) -> Any:
        """Standard deviations: softplus(rho)."""
        return backend.mean_field_scale(self.rho)

    def variance(self) -> Any:
        """Variances: softplus(rho)^2."""
        return backend.mean_field_variance(self.rho)

    def transform(self, noise: Any) -> Any:
        """loc + softplus(rho) * noise."""
        return backend.mean_field_transform(self._location(), self.rho, noise)

    def perturbation(self, noise: Any) -> Any:
        """softplus(rho) * noise."""
        return backend.mean_field_perturbation(self.rho, noise)

    def kl(self, prior: Prior, seed: Any = None, num_samples: int = 1) -> Any:
        """KL(q‖p) in nats; for a normal prior in closed form, on the backend's fastest way."""
        normal = prior.as_normal(self.shape)
        if normal is None:
            return super().kl(prior, seed, num_samples)
        loc, scale = normal
        return backend.mean_field_kl(self._location(), self.rho, loc, scale)

    def output_draw(self, op: Any, y: Any, x: Any, seed: Any) -> Any:
        """y + sqrt(op(x^2, variance)) * noise, one noise for each output of each row."""
        return op.local_draw(y, x, self.variance(), seed)

    def distribution(self) -> Any:
        """A native `Normal` with the weight's shape as its batch shape."""
        return backend.distribution("Normal", loc=self.mean(), scale=self.stddev())

    def density_of_draws(self, noise: Any) -> tuple[Any, Any]:
        """(log q(w) in nats (S,), its slope in w) at the draws of flat standard normals (S, D)."""
        log_det = ops.sum(log_softplus(self.rho))
        return log_of_noise(noise) - log_det, -noise / ops.reshape(self.stddev(), (-1,))

    def entropy(self) -> Any:
        """Sum of the entropies of the normals, in nats."""
        return normal_entropy(ops.sum(log_softplus(self.rho)), self.size)

    def _expected_log_prob(self, prior: Any) -> Any:
        # Also exact for priors that couple the elements: ours are independent.
        return prior.expected_log_prob(self.mean(), self.variance())
