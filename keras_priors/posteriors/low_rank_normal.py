"""The low-rank-plus-diagonal normal posterior."""

from typing import Any

import keras
import numpy as np
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
from keras_priors.utils.export import export
from keras_priors.utils.parameters import one_positive, whole_number


@export()
class LowRankNormal(Posterior):
    """A normal with covariance diag(s^2) + B Bᵀ, over the flattened weight.

        w = loc + s * e + B z,   e ~ N(0, I),  z ~ N(0, I_rank),  s = softplus(scale_rate * rho)

    Variables: `loc` and `rho` of the weight's shape, `factor` of shape (rank, *weight).

    Args:
        rank: integer, number of columns of B. Defaults to 1.
        initial_scale: float, the standard deviation of the diagonal part to start with; the
            low-rank part starts at a tenth of it. Defaults to None: as `MeanFieldNormal`.
        scale_rate: float, how many times as fast `rho` moves as other variables, as in
            `MeanFieldNormal`; the factor moves as they do. Defaults to 1.

    Raises:
        TypeError: `rank` is not an integer.
        ValueError: `rank` is below 1, or `initial_scale` or `scale_rate` is not positive.

    Example:
        >>> import keras_priors as kp
        >>> layer = kp.VariationalDense(3, kernel_posterior=kp.posteriors.LowRankNormal(rank=2))
        >>> layer.build((None, 4))
        >>> tuple(layer.kernel_posterior.factor.shape)
        (2, 4, 3)

    References:
        - Ong, Nott and Smith, 2018, Gaussian variational approximation with a factor covariance
          structure, equation 3, arXiv:1701.03208.
    """

    _parameters = ("rank", "initial_scale", "scale_rate")

    def __init__(
        self, rank: int = 1, initial_scale: float | None = None, scale_rate: float = 1.0
    ) -> None:
        self.rank = whole_number("LowRankNormal", "rank", rank)
        self.initial_scale = checked_initial_scale("LowRankNormal", initial_scale)
        self.scale_rate = one_positive("LowRankNormal", "scale_rate", scale_rate)

    def _add_spread(self, add_weight: AddWeight, fan_in: int | None) -> None:
        """Create `rho` and `factor`."""
        scale = initial_scale_for(self.shape, self.initial_scale, fan_in)
        self.rho = add_weight("rho", self.shape, constant_rho(scale, self.scale_rate))
        # Not zero: at zero the gradient with respect to B is zero as well. From a seed of its own,
        # which `keras.utils.set_random_seed` makes repeat, so that equal layers begin unlike.
        small = keras.initializers.RandomNormal(stddev=0.1 * scale)
        self.factor = add_weight("factor", (self.rank, *self.shape), small)

    def mean(self) -> Any:
        """Mean of q: `loc`."""
        return self._location()

    def variance(self) -> Any:
        """Diagonal of the covariance, in the weight's shape."""
        diagonal = ops.square(ops.softplus(self._rho()))
        return diagonal + ops.sum(ops.square(self.factor), axis=0)

    @property
    def noise_shape(self) -> tuple[int, ...]:
        """(size + rank,): e and z."""
        return (self.size + self.rank,)

    def transform(self, noise: Any) -> Any:
        """loc + s * e + B z."""
        e, z = ops.reshape(noise[: self.size], self.shape), noise[self.size :]
        perturbation = ops.softplus(self._rho()) * e + ops.tensordot(z, self._factor(), axes=1)
        return self._location() + perturbation

    def output_draw(self, op: Any, y: Any, x: Any, seed: Any) -> Any:
        """Diagonal part as in mean field; for the rest a z of its own for each row."""
        y = op.local_draw(y, x, backend.square(ops.softplus(self._rho())), seed)
        factor = self._factor()
        for k in range(self.rank):
            # Streams that no estimator uses.
            y = y + op.row_noise(x, factor[k], backend.fold_in(seed, 128 + k))
        return y

    def distribution(self) -> Any:
        """A native multivariate normal over the flattened weight, shape (size,)."""
        factor = ops.transpose(ops.reshape(self._factor(), (self.rank, self.size)))
        return backend.distribution(
            "MultivariateNormalDiagPlusLowRank",
            loc=ops.reshape(self.mean(), (self.size,)),
            cov_diag_factor=ops.reshape(ops.square(ops.softplus(self._rho())), (self.size,)),
            cov_perturb_factor=factor,
        )

    def density_of_draws(self, noise: Any) -> tuple[Any, Any]:
        """(log q(w) in nats (S,), its slope in w (S, D)) at the draws of noise (S, D + rank).

        With U = B / s, C = I + UᵀU and d = Uᵀe - z, the quadratic form is |e|^2 + |z|^2 - dᵀC⁻¹d
        and the slope -(e - U C⁻¹d) / s: no difference w - loc, which has lost digits.
        """
        e, z = noise[:, : self.size], noise[:, self.size :]
        scale = ops.reshape(ops.softplus(self._rho()), (self.size,))
        u = ops.reshape(self._factor(), (self.rank, self.size)) / scale
        capacitance = ops.eye(self.rank, dtype=self.dtype) + ops.matmul(u, ops.transpose(u))
        cholesky = ops.cholesky(capacitance)
        d = ops.matmul(u, ops.transpose(e)) - ops.transpose(z)
        half = ops.solve_triangular(cholesky, d, lower=True)
        whole = ops.solve_triangular(ops.transpose(cholesky), half, lower=False)
        log_det = ops.sum(log_softplus(self._rho())) + ops.sum(ops.log(ops.diagonal(cholesky)))
        # log q counts D normals: the |z|^2 and |half|^2 are of the rank others.
        log_q = log_of_noise(e) - 0.5 * (ops.sum(z**2, axis=1) - ops.sum(half**2, axis=0))
        return log_q - log_det, -(e - ops.matmul(ops.transpose(whole), u)) / scale

    def entropy(self) -> Any:
        """In nats, by the matrix determinant lemma: log|D + B Bᵀ| = log|D| + log|I + BᵀD⁻¹B|."""
        log_scale = log_softplus(self._rho())
        # With e^-m, at most the smallest scale, taken out of D, so that nothing overflows.
        m = ops.stop_gradient(ops.maximum(-ops.min(log_scale), 0.0))
        scaled = self._factor() * ops.exp(-log_scale - m)
        scaled = ops.reshape(scaled, (self.rank, self.size))
        product = ops.matmul(scaled, ops.transpose(scaled))
        # Below rounding errors of the product the identity's share cannot be seen.
        floor = ops.maximum(1e-7 * ops.max(ops.diagonal(product)), 1e-35)
        share = ops.maximum(ops.exp(-2.0 * m), ops.stop_gradient(floor))
        capacitance = share * ops.eye(self.rank, dtype=self.dtype) + product
        cholesky = ops.cholesky(capacitance)
        log_capacitance = ops.sum(ops.log(ops.diagonal(cholesky))) + self.rank * m
        return normal_entropy(ops.sum(log_scale) + log_capacitance, self.size)

    def assign_stddev(self, value: Any) -> None:
        """Move the standard deviations to `value`; mean and correlations stay."""
        value = checked_stddev("LowRankNormal", value, self.shape)
        ratio = value / ops.convert_to_numpy(self.stddev())
        scale = ops.convert_to_numpy(ops.softplus(self._rho())) * ratio
        self.factor.assign(ops.convert_to_numpy(self._factor()) * ratio)
        self.rho.assign(softplus_inverse(scale) / self.scale_rate)

    def _rho(self) -> Any:
        return at_rate(self.rho, self.scale_rate)

    def _factor(self) -> Any:
        return ops.convert_to_tensor(self.factor)

    def _expected_log_prob(self, prior: Any) -> Any:
        if prior.factorized:
            return super()._expected_log_prob(prior)
        square = prior.expected_square(self._factor())
        if square is None:
            return self._by_native_kl(prior)
        diagonal = ops.square(ops.softplus(self._rho()))
        return prior.expected_log_prob(self.mean(), diagonal) - square

    def _event_shape(self) -> tuple[int, ...]:
        return (int(np.prod(self.shape)),)
