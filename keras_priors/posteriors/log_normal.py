"""The mean-field log-normal posterior, for positive weights."""

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
    log_softplus,
    normal_entropy,
    softplus_inverse,
)
from keras_priors.priors.log_normal_prior import LogNormalPrior
from keras_priors.priors.normal_prior import NormalPrior
from keras_priors.utils.export import export
from keras_priors.utils.parameters import one_positive


@export()
class LogNormal(Posterior):
    """Independent log-normals: log w_i ~ N(loc_i, s_i^2), for priors on w > 0.

    s = softplus(scale_rate * rho).

    The median of q starts at the absolute value of what the layer's initializer gives (at
    1e-3 where that is smaller), because a zero or negative start has no logarithm.

    Args:
        initial_scale: float, the standard deviation of log w to start with. Defaults to None,
            which is 0.1: a start within about 10% of the median.
        scale_rate: float, how many times as fast `rho` moves as other variables, as in
            `MeanFieldNormal`. Defaults to 1.

    Raises:
        ValueError: `initial_scale` or `scale_rate` is not positive.

    Example:
        >>> import keras
        >>> import keras_priors as kp
        >>> layer = kp.VariationalDense(
        ...     3, kernel_prior=kp.HalfNormalPrior(1.0), kernel_posterior="log_normal")
        >>> layer.build((None, 2))
        >>> bool(keras.ops.all(layer.kernel_posterior.sample(seed=0) > 0))
        True
    """

    _parameters = ("initial_scale", "scale_rate")
    support = "positive"

    def __init__(self, initial_scale: float | None = None, scale_rate: float = 1.0) -> None:
        self.initial_scale = checked_initial_scale("LogNormal", initial_scale)
        self.scale_rate = one_positive("LogNormal", "scale_rate", scale_rate)

    def _at_mean(self, initializer: Any) -> Any:
        """`loc` is a parameter of log w."""
        return _LogOf(keras.initializers.get(initializer))

    def _add_spread(self, add_weight: AddWeight, fan_in: int | None) -> None:
        """Create `rho`, a parameter of log w, of the weight's shape."""
        scale = 0.1 if self.initial_scale is None else self.initial_scale
        self.rho = add_weight("rho", self.shape, constant_rho(scale, self.scale_rate))

    def _rho(self) -> Any:
        return at_rate(self.rho, self.scale_rate)

    def mean(self) -> Any:
        """exp(loc + scale^2 / 2)."""
        return ops.exp(self._location() + 0.5 * ops.square(ops.softplus(self._rho())))

    def assign_mean(self, value: Any) -> None:
        """Move the mean to `value`, positive everywhere; the scale of log w stays."""
        value = ops.convert_to_numpy(ops.convert_to_tensor(value))
        if not (value > 0).all():
            raise ValueError(
                f"The mean of a LogNormal must be positive everywhere. Received: {value!r}. Use "
                "a family on the whole line, such as MeanFieldNormal, for this weight."
            )
        variance = ops.convert_to_numpy(ops.square(ops.softplus(self._rho())))
        self.loc.assign(np.log(value) - 0.5 * variance)

    def assign_stddev(self, value: Any) -> None:
        """Move the standard deviations to `value`, positive everywhere; the mean stays."""
        value = checked_stddev("LogNormal", value, self.shape)
        mean = ops.convert_to_numpy(self.mean()).astype("float64")
        variance = np.log1p(np.square(value / mean))
        self.rho.assign(softplus_inverse(np.sqrt(variance)) / self.scale_rate)
        self.loc.assign(np.log(mean) - 0.5 * variance)

    def variance(self) -> Any:
        """(exp(scale^2) - 1) exp(2 loc + scale^2)."""
        return ops.expm1(ops.square(ops.softplus(self._rho()))) * ops.square(self.mean())

    def log_moments(self) -> tuple[Any, Any]:
        """Mean and variance of log w: loc and s^2."""
        return self._location(), ops.square(ops.softplus(self._rho()))

    def transform(self, noise: Any) -> Any:
        """exp(loc + s * noise)."""
        return ops.exp(self._location() + backend.mean_field_perturbation(self._rho(), noise))

    def distribution(self) -> Any:
        """A native `LogNormal` with the weight's shape as its batch shape."""
        return backend.distribution(
            "LogNormal", loc=self._location(), scale=ops.softplus(self._rho())
        )

    def entropy(self) -> Any:
        """Sum of the entropies: that of the normals of log w, plus E[log w] = loc."""
        log_scales = ops.sum(log_softplus(self._rho()))
        return normal_entropy(log_scales, self.size) + ops.sum(self._location())

    def _expected_log_prob(self, prior: Any) -> Any:
        # E[log p(w)] under a log-normal prior: a normal prior on log w, less E[log w].
        if not isinstance(prior, LogNormalPrior):
            return self._by_native_kl(prior)
        normal = NormalPrior(prior.loc, prior.scale)
        loc = self._location()
        expected = normal.expected_log_prob(loc, ops.square(ops.softplus(self._rho())))
        return expected - ops.sum(loc)


class _LogOf(keras.initializers.Initializer):
    """log |w| for w drawn by another initializer; lives only while the layer is built."""

    def __init__(self, initializer: Any) -> None:
        self._initializer = initializer

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        # Operations, not NumPy: a model may be built while it is traced.
        return ops.log(ops.maximum(ops.abs(self._initializer(shape, dtype=dtype)), 1e-3))
