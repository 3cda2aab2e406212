"""The base class of all posterior families."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.priors.distribution_prior import DistributionPrior
from keras_priors.priors.joint_normal_part import JointNormalPart
from keras_priors.priors.prior import Prior
from keras_priors.utils.export import export
from keras_priors.utils.parameters import to_config

AddWeight = Callable[..., Any]
"""A layer's `add_weight`, with what all variables of one posterior share already given."""


@export()
class Posterior(ABC):
    """A family of distributions q(w) over one weight tensor. Abstract.

    An instance is first a description (`MeanFieldNormal(initial_scale=0.01)`); a variational
    layer takes a copy of it for each weight and calls `build`, which creates its trainable
    variables in the layer. From then on it is the posterior of that weight, and
    `layer.kernel_posterior.mean()` and its other methods give the current values.

    **To write your own**, override

    - `build`: call it of this class, which makes `loc`, and `add_weight` for the spread;
    - `transform(noise)`, a draw from standard normals of `noise_shape`, differentiable;
    - `mean`, `variance` and `entropy`; `distribution`, by `native`; KLs follow from these;
    - `support`, "positive" where draws are;
    - `get_config`, for arguments of its own, with `keras.saving.register_keras_serializable` on
      the class, so that a model with it can be saved.

    Then `VariationalDense(10, kernel_posterior=...)` and all other layers take it.
    """

    _parameters: tuple[str, ...] = ()
    support = "real"
    """Where draws lie: "real", "positive", or "point" for a single point."""
    sign_symmetric = False
    """Whether q is unchanged when signs of elements of w - mean are flipped at will."""

    independent = False
    """Whether q is a product of normals over the elements."""

    shape: tuple[int, ...]
    loc: Any

    def build(
        self,
        add_weight: AddWeight,
        shape: tuple[int, ...],
        initializer: Any,
        fan_in: int | None = None,
    ) -> None:
        """Create the variables: `loc`, by `initializer` at the mean, and those of the spread.

        Args:
            add_weight: called with a name, a shape and an initializer for each variable.
            shape: the shape of the weight.
            initializer: Keras initializer of the plain layer's weight.
            fan_in: integer, number of products that a unit is the sum of, by which families scale
                their initial spread; None stands for the product of all axes but the last.

        Raises:
            ValueError: the family has no distribution over weights of that shape.
        """
        self.shape = tuple(shape)
        self._check_weight()
        self.loc = add_weight("loc", shape, self._at_mean(initializer))
        self._add_spread(add_weight, fan_in)

    def _check_weight(self) -> None:
        """Raise ValueError where the family has no distribution over weights of `shape`."""
        return  # most have one over each

    def _at_mean(self, initializer: Any) -> Any:
        """The initializer of `loc`, from that of the plain layer's weight."""
        return initializer

    def _add_spread(self, add_weight: AddWeight, fan_in: int | None) -> None:
        """Create the variables of the spread."""
        return  # a point has none

    @abstractmethod
    def mean(self) -> Any:
        """Mean of q, a tensor of the weight's shape."""

    def assign_mean(self, value: Any) -> None:
        """Move the mean to `value`, an array of the weight's shape; the spread stays."""
        self.loc.assign(value)

    def assign_stddev(self, value: Any) -> None:
        """Move the standard deviations to `value`, an array of the weight's shape; the mean stays.

        Raises:
            NotImplementedError: the family cannot take any array of standard deviations.
            ValueError: `value` has another shape, or numbers that are not positive.
        """
        raise NotImplementedError(
            f"{type(self).__name__} cannot take a standard deviation for each element. Use one of "
            "the families MeanFieldNormal, LogNormal, LowRankNormal, FullNormal, Delta."
        )

    @abstractmethod
    def variance(self) -> Any:
        """Variance of each element under q, a tensor of the weight's shape."""

    def stddev(self) -> Any:
        """Standard deviation of each element under q, a tensor of the weight's shape."""
        return ops.sqrt(self.variance())

    @property
    def noise_shape(self) -> tuple[int, ...]:
        """Shape of the standard normals that one draw takes."""
        return self.shape

    @abstractmethod
    def transform(self, noise: Any) -> Any:
        """The draw of the whole weight that belongs to standard normals of `noise_shape`.

        Differentiable in the variables: a draw is a function of them and of the noise
        (reparameterization).
        """

    def perturbation(self, noise: Any) -> Any:
        """transform(noise) - mean()."""
        return self.transform(noise) - self.mean()

    def sample(self, seed: Any = None) -> Any:
        """One draw of the whole weight, differentiable in the variables.

        Args:
            seed: integer, `keras.random.SeedGenerator`, a pair of words, or None.
        """
        return self.transform(
            backend.standard_normal(self.noise_shape, backend.as_seed(seed), self.dtype)
        )

    @abstractmethod
    def distribution(self) -> Any:
        """The native distribution (TFP, or `torch.distributions`) with the current values."""

    @staticmethod
    def native(name: str, **parameters: Any) -> Any:
        """The native distribution of a name, for `distribution`: TFP's names, on every backend.

        Args:
            name: str, such as "Logistic" or "Independent" (with `distribution` and `ndims`).
            **parameters: its parameters by TFP's names.
        """
        return backend.distribution(name, **parameters)

    def log_prob(self, w: Any) -> Any:
        """log q(w) in nats, summed over the tensor: a scalar."""
        w = ops.convert_to_tensor(w, dtype=self.dtype)
        return ops.sum(self.distribution().log_prob(ops.reshape(w, self._event_shape())))

    @abstractmethod
    def entropy(self) -> Any:
        """H(q) = -E[log q(w)] in nats, a scalar."""

    def kl(self, prior: Prior, seed: Any = None, num_samples: int = 1) -> Any:
        """KL(q‖p) = E[log q(w) - log p(w)] in nats, summed over the tensor: a scalar.

        Exact where it is known: E[log p(w)] in closed form, and the entropy of q, which every
        family has. Otherwise E[log p(w)] is the average over `num_samples` draws from q.

        Args:
            prior: the prior p.
            seed: seed of the draws, where they are needed.
            num_samples: integer, number of draws. Defaults to 1.

        Raises:
            ValueError: q leaves the support of the prior; the message names families that fit.
        """
        self.check_support(prior)
        expected = self._expected_log_prob(prior)
        if expected is None:
            expected = self._monte_carlo_log_prob(prior, seed, num_samples)
        return -self.entropy() - expected

    def check_support(self, prior: Prior) -> None:
        """Raise ValueError where q gives weight to points at which the prior density is zero."""
        if isinstance(prior, JointNormalPart):
            raise ValueError(
                "The KL of a variational layer is that of one weight, and a joint prior has one "
                f"density for several. Received: posterior {type(self).__name__} and {prior!r}. "
                'Take `posterior.as_prior("diagonal")`, which has a NormalPrior for each weight.'
            )
        low, high = prior.support
        if self.support == "point":
            return
        unbounded_below = bool(np.all(np.isneginf(low)))
        unbounded_above = bool(np.all(np.isposinf(high)))
        if unbounded_below and unbounded_above and prior.support_is_interval:
            return
        positive = bool(np.all(np.asarray(low) <= 0.0)) and unbounded_above
        positive = positive and prior.support_is_interval
        if self.support == "positive" and positive:
            return
        fitting = (
            "LogNormal (draws are positive) or Delta (a point estimate)" if positive else "Delta"
        )
        raise ValueError(
            "A posterior must not leave the support of its prior: the KL would be infinite. "
            f"Received: posterior {type(self).__name__} with draws on the "
            f"{'positive half-line' if self.support == 'positive' else 'whole real line'} and "
            f"{prior!r} with support "
            f"{'' if prior.support_is_interval else 'in a part of '}[{low}, {high}]. "
            f"Use a posterior family that fits: {fitting}, from keras_priors.posteriors."
        )

    def kl_is_exact(self, prior: Prior) -> bool:
        """Whether `kl` needs no draws for this prior."""
        return self._expected_log_prob(prior) is not None

    def _expected_log_prob(self, prior: Prior) -> Any:
        # A prior over independent elements sees only the marginals of q.
        if prior.factorized:
            return prior.expected_log_prob(self.mean(), self.variance())
        return None

    def _by_native_kl(self, prior: Prior) -> Any:
        # E[log p] from the library's own KL of q and a distribution of the library, if it has one.
        if not isinstance(prior, DistributionPrior):
            return None
        kl = prior.kl_of(self.distribution(), self.shape, self.dtype)
        return None if kl is None else -self.entropy() - kl

    def _monte_carlo_log_prob(self, prior: Prior, seed: Any, num_samples: int) -> Any:
        seed = backend.as_seed(seed)
        total: Any = 0.0
        for k in range(num_samples):
            total = total + prior.log_prob(self.sample(backend.fold_in(seed, k)))
        return total / num_samples

    def output_draw(self, op: Any, y: Any, x: Any, seed: Any) -> Any:
        """y and a draw of op(x, w) - op(x, mean), independent for each row of x.

        For `estimator="local_reparameterization"`; families without it raise.
        """
        raise NotImplementedError(
            f"{type(self).__name__} has no local reparameterization: the outputs of a row have "
            'no covariance that is cheap to draw from. Use estimator="reparameterization", or '
            "one of the families MeanFieldNormal, LowRankNormal, MatrixNormal, Delta."
        )

    @property
    def has_output_draw(self) -> bool:
        """Whether the family supports `estimator="local_reparameterization"`."""
        return type(self).output_draw is not Posterior.output_draw

    def _location(self) -> Any:
        """`loc`, in the dtype of all else here also where it is a wrapped layer's variable."""
        return ops.cast(self.loc, self.dtype)

    def _event_shape(self) -> tuple[int, ...]:
        """Shape in which `distribution()` takes the weight."""
        return self.shape

    @property
    def dtype(self) -> str:
        """dtype of draws and moments: float32 in half precision too; float64 under float64."""
        # A wrapped layer's own variable says float16 within a layer of that compute dtype.
        kept = keras.backend.standardize_dtype(self.loc.dtype)
        return "float64" if kept == "float64" else "float32"

    @property
    def size(self) -> int:
        """Number of elements of the weight."""
        return int(np.prod(self.shape, dtype="int64"))

    def copy(self) -> "Posterior":
        """A fresh, unbuilt posterior with the same configuration."""
        return type(self).from_config(self.get_config())

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments, JSON-serializable."""
        return {name: to_config(getattr(self, name)) for name in self._parameters}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Posterior":
        """The posterior that `get_config` described."""
        return cls(**config)

    def __repr__(self) -> str:
        parts = [f"{name}={getattr(self, name)!r}" for name in self._parameters]
        return f"{type(self).__name__}({', '.join(parts)})"
