"""The point estimate."""

from typing import Any

from keras import ops

from keras_priors import backend
from keras_priors.posteriors.posterior import Posterior
from keras_priors.priors.prior import Prior
from keras_priors.utils.export import export


@export()
class Delta(Posterior):
    """A point: q(w) puts all its mass on `loc`. With a prior, `fit` finds the MAP.

    Its entropy is that of no proper density, so it is left out (taken as 0): the KL is then
    -log p(loc), the penalty that the prior is as a regularizer.

    Example:
        >>> import keras_priors as kp
        >>> layer = kp.VariationalDense(3, bias_posterior="delta")
        >>> layer.build((None, 2))
        >>> float(layer.bias_posterior.stddev()[0])
        0.0
    """

    support = "point"
    sign_symmetric = True

    def mean(self) -> Any:
        """The point."""
        return self._location()

    def assign_stddev(self, value: Any) -> None:
        """Leaves the point as it is: it has no spread."""

    def variance(self) -> Any:
        """Zeros."""
        return ops.zeros(self.shape, dtype=self.dtype)

    def stddev(self) -> Any:
        """Zeros."""
        return self.variance()

    @property
    def noise_shape(self) -> tuple[int, ...]:
        """(0,): a point has no noise."""
        return (0,)

    def transform(self, noise: Any) -> Any:
        """The point."""
        return self.mean()

    def sample(self, seed: Any = None) -> Any:
        """The point."""
        return self.mean()

    def output_draw(self, op: Any, y: Any, x: Any, seed: Any) -> Any:
        """y: a point has no noise."""
        return y

    def distribution(self) -> Any:
        """A native distribution with all its mass on the point."""
        return backend.distribution("Deterministic", loc=self.mean())

    def entropy(self) -> Any:
        """0, by convention."""
        return ops.zeros((), dtype=self.dtype)

    def _expected_log_prob(self, prior: Prior) -> Any:
        return prior.log_prob(self.mean())
