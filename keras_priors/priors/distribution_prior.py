"""The prior made of a native distribution."""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.priors.native_density import NativeDensity
from keras_priors.priors.native_description import describe, rebuild
from keras_priors.priors.prior import Prior
from keras_priors.priors.special import LOG_2PI
from keras_priors.utils.export import export

# The smallest variance that a normal of float32 can stand: its logarithm cancels.
_FLOOR = 1e-36


@export("keras_priors")
class DistributionPrior(Prior):
    """Any distribution of TensorFlow Probability (`torch.distributions` on PyTorch) as a prior.

        log p(w) = sum of distribution.log_prob(w)   (nats)

    Its batch shape must broadcast against the leading axes of the weight, and its event shape be
    that of the trailing ones. Its parameters are copied as constants. In a saved file stand the
    name of its class and the numbers, in the words of TensorFlow Probability; loading looks that
    name up among the classes of the library and nowhere else. So a file loads on every backend
    whose library has the class.

    Args:
        distribution: a distribution object of the library, over real numbers; also nested, as in
            `Independent` and `MixtureSameFamily`. `keras_priors.native_distributions()` is
            the module that has them.
        num_data: integer or None, the number of observations whose mean is the loss.
            Defaults to None: see `keras_priors.set_num_data`.

    Accuracy is the library's, and so is whether a bound itself belongs to the support (1 does to
    TFP's Uniform(0, 1), not to torch's). Outside the support, which the library is asked for, the
    penalty is +inf. Where the support is an interval `constraint()` keeps a weight inside. Where it
    is another set (the simplex of a `Dirichlet`, spheres, covariances, a mixture with a gap) there
    is no constraint: give the layer one of your own, and start it inside, by `initializer()`.

    Raises:
        TypeError: `distribution` is no distribution of the backend's library.
        ValueError: it is discrete, of a class that the library does not have, of one whose support
            the library does not say, or its parameters are ones that the class refuses or hold
            something else than numbers, arrays and distributions (such as a bijector or a
            function); or (at the first weight) its shape does not fit.

    Example:
        >>> import keras_priors as kp
        >>> tfd = kp.native_distributions()
        >>> prior = kp.DistributionPrior(tfd.Gumbel(0.0, 2.0))
        >>> round(float(prior.log_prob([0.0, 0.0])), 4)         # 2 (-log(2) - 1)
        -3.3863
    """

    def __init__(self, distribution: Any, *, num_data: int | None = None) -> None:
        super().__init__(num_data=num_data)
        self._set(describe(distribution))

    def _set(self, description: dict[str, Any]) -> None:
        rebuild(description, "float32")  # a class that is not there has its own message
        try:
            rebuild(description, "float32", checked=True)
        except ValueError as error:
            raise ValueError(
                "The distribution of DistributionPrior must have parameters that its class takes. "
                f"Received: {description}: {error}"
            ) from error
        self._description = description
        self._density = NativeDensity(description)
        self._native = self._density.native

    @property
    def support(self) -> tuple[Any, Any]:
        """The bounds; where the support is no interval, those of the smallest one around it."""
        return _simplest(self._density.low), _simplest(self._density.high)

    @property
    def support_is_interval(self) -> bool:
        """Whether the support is all between these bounds; not so for a Dirichlet."""
        return self._density.is_box

    def constraint(self) -> keras.constraints.Constraint | None:
        """The Keras constraint that keeps a weight inside a bounded support, or None.

        None also where the support is no interval for each element, such as the simplex of a
        Dirichlet: give the layer a constraint of your own there.
        """
        return super().constraint() if self.support_is_interval else None

    @property
    def factorized(self) -> bool:
        """Whether the distribution has no event axes."""
        return len(self._native.event_shape) == 0

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Raise ValueError where batch and event shape do not fit a weight of `shape`."""
        batch, event = tuple(self._native.batch_shape), tuple(self._native.event_shape)
        rest = shape[: len(shape) - len(event)]
        try:
            fits = (*rest, *event) == shape and np.broadcast_shapes(batch, rest) == rest
        except ValueError:
            fits = False
        if not fits:
            raise ValueError(
                "The distribution of DistributionPrior must broadcast against the weight. "
                f"Received: batch shape {batch}, event shape {event} and a weight of shape {shape}."
            )

    def log_prob(self, w: Any) -> Any:
        """Log density of the whole tensor in nats: a scalar; -inf outside the support."""
        w = self._as_weight(w)
        self.check_shape(tuple(w.shape))
        return ops.sum(self._density.log_prob(w))

    def expected_log_prob(self, mean: Any, variance: Any) -> Any:
        """E[log p(w)] in nats under independent normals q, as -H(q) - KL(q‖p).

        None where the library has no KL for the pair.
        """
        self.check_shape(tuple(mean.shape))
        if np.any(np.isfinite(self._density.low)) or np.any(np.isfinite(self._density.high)):
            return None
        variance = self._at_least(variance, _FLOOR)
        native = self._distribution(tuple(mean.shape), mean.dtype, broadcast=False)
        try:
            kl = backend.kl_divergence(self._normal_like(mean, variance), native)
        except NotImplementedError:
            return None
        size = math.prod(mean.shape)
        return -0.5 * (ops.sum(ops.log(variance)) + size * (LOG_2PI + 1.0)) - ops.sum(kl)

    def kl_of(self, q: Any, shape: tuple[int, ...], dtype: str) -> Any:
        """KL(q‖p) in nats for a native q over a weight of `shape`, where the library has it.

        None where it has not, or where q and p divide the weight into events differently.
        """
        self.check_shape(shape)
        native = self._distribution(shape, dtype, broadcast=False)
        if tuple(q.event_shape) != tuple(native.event_shape):
            return None
        if tuple(q.event_shape) not in ((), shape):
            return None
        try:
            return ops.sum(backend.kl_divergence(q, native))
        except NotImplementedError:
            return None

    def _normal_like(self, mean: Any, variance: Any) -> Any:
        stddev = ops.sqrt(variance)
        rank = len(self._native.event_shape)
        if rank == 1 and self._description["distribution"].startswith("MultivariateNormal"):
            diagonal = ops.expand_dims(stddev, -1) * ops.eye(mean.shape[-1], dtype=mean.dtype)
            return backend.distribution("MultivariateNormalTriL", loc=mean, scale_tril=diagonal)
        normal = backend.distribution("Normal", loc=mean, scale=stddev)
        if rank == 0:
            return normal
        return backend.distribution("Independent", distribution=normal, ndims=rank)

    def _distribution(self, shape: tuple[int, ...], dtype: str, broadcast: bool) -> Any:
        dtype = keras.backend.standardize_dtype(dtype)
        native = self._native if dtype == "float32" else rebuild(self._description, dtype)
        batch = shape[: len(shape) - len(native.event_shape)]
        if not broadcast or tuple(native.batch_shape) == batch:
            return native
        return backend.expand(native, batch)

    def get_config(self) -> dict[str, Any]:
        """Class name and parameters of the distribution, JSON-serializable."""
        return {"distribution": self._description, "num_data": self.num_data}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "DistributionPrior":
        """The prior that `get_config` described; looks up classes of the library only."""
        prior = cls.__new__(cls)
        Prior.__init__(prior, num_data=config["num_data"])
        prior._set(backend.in_neutral_words(config["distribution"]))
        return prior

    def __repr__(self) -> str:
        return f"DistributionPrior({self._native!r}, num_data={self.num_data})"


def _simplest(bound: Any) -> Any:
    """A float where all elements have the same bound."""
    first = float(bound.flat[0])
    return first if np.all(bound == first) else bound
