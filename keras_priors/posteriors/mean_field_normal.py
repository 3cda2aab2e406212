"""The mean-field normal posterior."""

from typing import Any

from keras import ops

from keras_priors import backend
from keras_priors.posteriors.posterior import AddWeight, Posterior
from keras_priors.posteriors.scale import (
    at_rate,
    checked_initial_scale,
    checked_stddev,
    constant_rho,
    initial_scale_for,
    log_of_noise,
    log_softplus,
    normal_entropy,
    softplus_inverse,
)
from keras_priors.priors.prior import Prior
from keras_priors.utils.export import export
from keras_priors.utils.parameters import one_positive


@export()
class MeanFieldNormal(Posterior):
    """Independent normals: q(w) = prod_i N(w_i | loc_i, s_i^2), s = softplus(scale_rate * rho).

    Two variables of the weight's shape: `loc` and `rho`. The softplus keeps the scale positive
    for any `rho`, and its logarithm is taken so that it stays finite where softplus underflows.

    Args:
        initial_scale: float, the standard deviation to start with. Defaults to None, which is
            0.1 / sqrt(fan_in): measured on nets of width 50, 400 and 2048. Much larger, and the
            noise drowns the data term until the optimizer has shrunk it; wide nets then collapse
            to the prior.
        scale_rate: float, how many times as fast `rho` moves as other variables of the layer. Adam
            moves each by about its learning rate a step: scales that have far to go get there in
            as many times fewer steps, and their last steps are as many times as noisy, so that
            the ELBO ends higher or lower: compare it (`callbacks.BayesianMonitor`). Defaults to 1.

    Raises:
        ValueError: `initial_scale` or `scale_rate` is not positive.

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

    _parameters = ("initial_scale", "scale_rate")
    sign_symmetric = True
    independent = True

    def __init__(self, initial_scale: float | None = None, scale_rate: float = 1.0) -> None:
        self.initial_scale = checked_initial_scale("MeanFieldNormal", initial_scale)
        self.scale_rate = one_positive("MeanFieldNormal", "scale_rate", scale_rate)

    def _add_spread(self, add_weight: AddWeight, fan_in: int | None) -> None:
        """Create `rho`, of the weight's shape."""
        scale = initial_scale_for(self.shape, self.initial_scale, fan_in)
        self.rho = add_weight("rho", self.shape, constant_rho(scale, self.scale_rate))

    def assign_stddev(self, value: Any) -> None:
        """Move the standard deviations to `value`, positive everywhere; the mean stays."""
        value = checked_stddev("MeanFieldNormal", value, self.shape)
        self.rho.assign(softplus_inverse(value) / self.scale_rate)

    def _rho(self) -> Any:
        return at_rate(self.rho, self.scale_rate)

    def mean(self) -> Any:
        """Mean of q: `loc`."""
        return self._location()

    def stddev(self) -> Any:
        """Standard deviations: softplus(scale_rate * rho)."""
        return backend.mean_field_scale(self._rho())

    def variance(self) -> Any:
        """Variances: the squares of `stddev()`."""
        return backend.mean_field_variance(self._rho())

    def transform(self, noise: Any) -> Any:
        """loc + stddev() * noise."""
        return backend.mean_field_transform(self._location(), self._rho(), noise)

    def perturbation(self, noise: Any) -> Any:
        """stddev() * noise."""
        return backend.mean_field_perturbation(self._rho(), noise)

    def kl(self, prior: Prior, seed: Any = None, num_samples: int = 1) -> Any:
        """KL(q‖p) in nats; for a normal prior in closed form, on the backend's fastest way."""
        normal = prior.as_normal(self.shape)
        if normal is None:
            return super().kl(prior, seed, num_samples)
        loc, scale = normal
        return backend.mean_field_kl(self._location(), self._rho(), loc, scale)

    def output_draw(self, op: Any, y: Any, x: Any, seed: Any) -> Any:
        """y + sqrt(op(x^2, variance)) * noise, one noise for each output of each row."""
        return op.local_draw(y, x, self.variance(), seed)

    def distribution(self) -> Any:
        """A native `Normal` with the weight's shape as its batch shape."""
        return backend.distribution("Normal", loc=self.mean(), scale=self.stddev())

    def density_of_draws(self, noise: Any) -> tuple[Any, Any]:
        """(log q(w) in nats (S,), its slope in w) at the draws of flat standard normals (S, D)."""
        log_det = ops.sum(log_softplus(self._rho()))
        return log_of_noise(noise) - log_det, -noise / ops.reshape(self.stddev(), (-1,))

    def entropy(self) -> Any:
        """Sum of the entropies of the normals, in nats."""
        return normal_entropy(ops.sum(log_softplus(self._rho())), self.size)

    def _expected_log_prob(self, prior: Any) -> Any:
        # Also exact for priors that couple the elements: ours are independent.
        return prior.expected_log_prob(self.mean(), self.variance())
