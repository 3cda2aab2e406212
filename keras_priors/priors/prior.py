"""The base class of all priors."""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.priors.latent_scale import LatentScale
from keras_priors.priors.support_constraint import SupportConstraint
from keras_priors.utils.export import export, register
from keras_priors.utils.parameters import (
    constant,
    seed_or_none,
    tensor,
    to_config,
    whole_number,
)
from keras_priors.utils.saved_num_data import SavedNumData
from keras_priors.utils.unset_num_data import check_in_loss, warn_unset


@export("keras_priors")
class Prior(SavedNumData, keras.regularizers.Regularizer):
    """A density p(w) over one weight tensor, used as a Keras regularizer. Abstract.

    As a regularizer it adds to the loss

        prior(w) = -log p(w) / num_data        (nats per observation)

    so that, beside a loss that is the mean over observations of -log p(y | x, w), plain `fit`
    finds the maximum a posteriori weights, whatever the batch size.

    **To write your own**, override

    - `log_prob(w)`: the log density of the whole tensor in nats, a scalar, by `keras.ops`;
    - `distribution(shape)`, which `sample` draws from, by `native`; or `sample` itself;
    - `support`, where the density is bounded, and then -inf outside of it in `log_prob`;
    - `expected_log_prob`, where the expectation under independent normals is known: KLs are then
      exact, and by draws else; `factorized`, False where elements depend on each other;
    - `get_config`, for arguments of its own, with `keras.saving.register_keras_serializable` on
      the class, so that a model with it can be saved.

    Then it is a regularizer, and every layer and method takes it.

    A subclass within the package names its parameters in `_parameters` (one attribute per
    constructor argument) and in `_library_name` the native distribution that takes them, or
    overrides `_distribution`, and `_log_density` where the library's density is not accurate in
    float32 or costs steps.

    Args:
        num_data: integer or None, the number of observations whose mean is the loss. None
            (the default) means that it was not given yet: the weight is then 1, and training
            warns. Give it here, or once for a whole model by `keras_priors.set_num_data`.
    """

    _parameters: tuple[str, ...] = ()
    # The native distribution that takes them.
    _library_name: str
    # What `_log_density` leaves out for each element; for array parameters, the mean over them.
    _log_constant: float = 0.0
    # Whether the bounds themselves are outside: where the density there is 0 or infinite.
    _open_support = False
    # What is left to be seen of `num_data` when the model is built and compiled.
    _num_data_check: Any = None

    def __init__(self, *, num_data: int | None = None) -> None:
        self.num_data = num_data

    @property
    def num_data(self) -> int | None:
        """Number of observations whose mean is the loss, or None."""
        return self._num_data

    @num_data.setter
    def num_data(self, value: int | None) -> None:
        self._num_data = (
            None if value is None else whole_number(type(self).__name__, "num_data", value)
        )
        self._num_data_check = None

    @property
    def support(self) -> tuple[Any, Any]:
        """Lower and upper bound of the support, each a float or an array; infinite by default."""
        return -np.inf, np.inf

    @property
    def support_is_interval(self) -> bool:
        """Whether the support of each element is all between the bounds of `support`.

        False for a simplex and its kin, which no constraint of an interval keeps a weight in.
        """
        return True

    @property
    def factorized(self) -> bool:
        """Whether log p(w) is a sum over the elements of w."""
        return True

    def __call__(self, w: Any) -> Any:
        """Penalty -log p(w) / num_data, a scalar in `keras.config.floatx()`."""
        # In a loss Keras hands over a variable, or a tensor in its place.
        in_a_loss = isinstance(w, keras.Variable) or ops.is_tensor(w)
        if self.num_data is None and in_a_loss:
            warn_unset(f"a {type(self).__name__}")
        if self._num_data_check is not None and in_a_loss:
            check_in_loss(self)
        penalty = self._penalty(w, self.num_data or 1)
        floatx = keras.config.floatx()
        same = keras.backend.standardize_dtype(penalty.dtype) == floatx
        return penalty if same else ops.cast(penalty, floatx)

    def _penalty(self, w: Any, num_data: int) -> Any:
        return -self.in_loss(w) / num_data

    def in_loss(self, w: Any) -> Any:
        """Log density in nats that stands in a loss for a variable of the value w: `log_prob`."""
        return self.log_prob(w)

    def log_prob(self, w: Any) -> Any:
        """Log density of the whole tensor in nats: a scalar; -inf outside the support."""
        w = self._as_weight(w)
        self.check_shape(tuple(w.shape))
        constant = float(self._log_constant * math.prod(w.shape))
        low, high = self.support
        if np.all(np.isneginf(low)) and np.all(np.isposinf(high)):
            return ops.sum(self._log_density(w)) + constant
        outside = self._outside(w, low, high)
        # Outside, the density is taken at a point inside, so that neither it nor its gradient
        # can be NaN before it is replaced. A weight that is NaN itself is not outside: it stays.
        safe = ops.where(outside, tensor(self._interior_point(), w.dtype), w)
        density = self._log_density(safe)
        return ops.sum(ops.where(outside, ops.cast(-np.inf, w.dtype), density)) + constant

    def distribution(self, shape: Any) -> Any:
        """The native distribution (TFP, or `torch.distributions`) over a tensor of `shape`."""
        shape = tuple(shape)
        self.check_shape(shape)
        return self._distribution(shape, "float32", broadcast=True)

    @staticmethod
    def native(name: str, **parameters: Any) -> Any:
        """The native distribution of a name, for `distribution`: TFP's names, on every backend.

        Args:
            name: str, such as "Gumbel" or "Independent" (with `distribution` and `ndims`).
            **parameters: its parameters by TFP's names.
        """
        return backend.distribution(name, **parameters)

    def sample(self, shape: Any, seed: Any = None) -> Any:
        """Draw one weight tensor of `shape`, in float32.

        Args:
            shape: the shape of the weight.
            seed: integer, `keras.random.SeedGenerator` or None (fresh entropy, the default).
        """
        draw = backend.sample(self.distribution(shape), (), backend.as_seed(seed))
        return ops.convert_to_tensor(draw)

    def initializer(self, seed: Any = None) -> keras.initializers.Initializer:
        """A Keras initializer that draws the first value of a weight from this prior."""
        return PriorInitializer(self, seed=seed)

    def constraint(self) -> keras.constraints.Constraint | None:
        """The Keras constraint that keeps a weight inside a bounded support, or None."""
        low, high = self.support
        if np.all(np.isneginf(low)) and np.all(np.isposinf(high)):
            return None
        return SupportConstraint(low, high)

    def expected_log_prob(self, mean: Any, variance: Any) -> Any:
        """E[log p(w)] in nats under independent normals, or None where no closed form is known.

        Args:
            mean: tensor, the means of the weights.
            variance: tensor of the same shape, their variances.
        """
        return None

    def expected_square(self, factors: Any) -> Any:
        """E[quadratic part of -log p] of w = sum_k z_k f_k for independent unit normals z_k.

        What correlations of the weight cost where the prior couples its elements: exact with
        `expected_log_prob` for the independent rest.

        Args:
            factors: tensor of shape (K, *shape of the weight), the f_k.

        Returns:
            A scalar in nats, or None where -log p is not quadratic.
        """
        return None

    def as_normal(self, shape: tuple[int, ...]) -> tuple[Any, Any] | None:
        """(loc, scale) where the prior is an independent normal for each element, else None."""
        return None

    @property
    def latent_scale(self) -> LatentScale | None:
        """The scale that is unknown, where there is no density of the weight without it."""
        return None

    @property
    def local_scale(self) -> LatentScale | None:
        """What this prior is the marginal of: a normal whose scale is drawn for each element.

        Samplers move in both, where the density of the weight alone is one that they cannot follow.
        """
        return None

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Raise ValueError where the parameters do not fit a weight of `shape`."""
        for name in self._parameters:
            value = getattr(self, name)
            if isinstance(value, float):
                continue
            parameter_shape = np.shape(value)
            if not self._broadcasts(parameter_shape, shape):
                raise ValueError(
                    f"`{name}` of {type(self).__name__} must broadcast against the weight. "
                    f"Received: {name} of shape {parameter_shape} and a weight of shape {shape}. "
                    f"Give a number, or an array of shape {shape} or one that broadcasts to it."
                )

    @staticmethod
    def _broadcasts(parameter_shape: tuple[int, ...], shape: tuple[int, ...]) -> bool:
        """Whether a parameter broadcasts against a weight of `shape`."""
        try:
            return np.broadcast_shapes(parameter_shape, shape) == shape
        except ValueError:
            return False

    def _distribution(self, shape: tuple[int, ...], dtype: str, broadcast: bool) -> Any:
        """The native distribution for a weight of `shape`, its parameters in `dtype`.

        With `broadcast` its batch shape is `shape`; without, its parameters may stay small.
        """
        parameters = self._tensors(shape if broadcast else None, dtype)
        return backend.distribution(self._library_name, **parameters)

    def _log_density(self, w: Any) -> Any:
        """Log density of each element (or event) of a weight inside the support.

        Less `_log_constant`, which is added once for the whole tensor.
        """
        return self._distribution(tuple(w.shape), w.dtype, broadcast=False).log_prob(w)

    def _outside(self, w: Any, low: Any, high: Any) -> Any:
        low, high = (self._like(bound, w) for bound in (low, high))
        if self._open_support:
            return ops.logical_or(w <= low, w >= high)
        return ops.logical_or(w < low, w > high)

    def _interior_point(self) -> Any:
        """A float or an array strictly inside a bounded support."""
        low, high = (np.asarray(bound, "float64") for bound in self.support)
        below = np.where(np.isfinite(low), low + 1.0, np.where(np.isfinite(high), high - 1.0, 0.0))
        both = np.isfinite(low) & np.isfinite(high)
        return np.where(both, 0.5 * (low + high), below)

    def _as_weight(self, w: Any) -> Any:
        # A `keras.Variable` on TensorFlow and PyTorch, a tracer on JAX. Half precision is raised
        # to float32: a sum over a tensor overflows float16.
        w = ops.convert_to_tensor(w)
        dtype = keras.backend.standardize_dtype(w.dtype)
        return w if dtype in ("float32", "float64") else ops.cast(w, "float32")

    def _like(self, value: Any, w: Any) -> Any:
        """A parameter as an operand for the weight."""
        return constant(value, w.dtype)

    def _at_least(self, x: Any, floor: float) -> Any:
        """max(x, floor); `ops.maximum` rounds float64 tensors to float32 on PyTorch."""
        return ops.where(x < floor, ops.cast(floor, x.dtype), x)

    def _standardized(self, w: Any, loc: Any, scale: Any) -> Any:
        """(w - loc) / scale, in as few passes as the parameters allow."""
        centred = w if np.all(np.asarray(loc) == 0.0) else w - self._like(loc, w)
        if np.ndim(scale) == 0:
            return centred if scale == 1.0 else centred * float(1.0 / scale)
        return centred / self._like(scale, w)

    def _tensors(self, shape: tuple[int, ...] | None, dtype: str) -> dict[str, Any]:
        """The parameters as tensors, broadcast to `shape` where one is given."""
        values = {}
        for name in self._parameters:
            value = np.asarray(getattr(self, name), dtype)
            values[name] = ops.convert_to_tensor(
                value if shape is None else np.broadcast_to(value, shape), dtype=dtype
            )
        return values

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments, JSON-serializable."""
        config = {name: to_config(getattr(self, name)) for name in self._parameters}
        return {**config, "num_data": self.num_data}

    def __repr__(self) -> str:
        parts = [f"{name}={getattr(self, name)!r}" for name in self._parameters]
        return f"{type(self).__name__}({', '.join([*parts, f'num_data={self.num_data}'])})"


@register
class PriorInitializer(keras.initializers.Initializer):
    """Draws the first value of a weight from a prior."""

    def __init__(self, prior: Prior | dict[str, Any], seed: int | None = None) -> None:
        self.prior = (
            keras.saving.deserialize_keras_object(prior) if isinstance(prior, dict) else prior
        )
        is_generator = isinstance(seed, keras.random.SeedGenerator)
        self.seed = seed if is_generator else seed_or_none("PriorInitializer", seed)

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        draw = self.prior.sample(shape, seed=self.seed)
        return ops.cast(draw, dtype or keras.config.floatx())

    def get_config(self) -> dict[str, Any]:
        return {"prior": keras.saving.serialize_keras_object(self.prior), "seed": self.seed}
