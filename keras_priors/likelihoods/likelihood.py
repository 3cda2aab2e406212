"""The base class of all likelihoods."""

from abc import abstractmethod
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.likelihoods.align import Shape, align
from keras_priors.likelihoods.refusals import refuse_reduction
from keras_priors.utils.export import export


@export()
class Likelihood(keras.losses.Loss):
    """A density p(y | outputs) of one observation's target, used as a Keras loss. Abstract.

        loss = mean over observations of -sum_d log p(y_d | outputs)        (nats)

    **What an observation is.** The last axis of the outputs belongs to one observation: over it
    log densities are summed. Every other axis counts observations, as for sample weights and
    masks in Keras: of outputs (batch, time, d) every unmasked step is one, and `num_data` counts
    steps. An image, or a window, that is one observation is flattened by the model.

    **Shapes.** Outputs (n, ..., d) with a target (n, ..., d), or (n, ...) where d is 1. Nothing is
    broadcast over observations. Outputs (n,) are read as (n, 1). All methods but the loss itself
    take outputs with a leading axis of draws, (s, n, ..., d); the target then has that axis, has
    it with size 1, or lacks it.

    **Outside the support** the loss is +inf, never NaN, with a gradient of zero, so that it shows
    at once. An observation of weight zero (or masked) counts nothing, whatever its target is.

    Densities are computed in at least float32, and in the closed form where it is a few
    operations: the first training step then needs no import of TensorFlow Probability.

    **To write your own**, override

    - `joint_log_density(y, outputs)`: the log density of every observation;
    - `distribution(outputs)`, which `sample` draws from, by `native`; or `sample` itself;
    - `mean(outputs)` and `variance(outputs)`; outputs come as the model gives them;
    - `aligned(y, outputs, draws)`, where a target has not one element for each output;
    - `is_discrete`, True for counts and classes;
    - `get_config`, for arguments of its own, with `keras.saving.register_keras_serializable` on
      the class, so that a model, or a posterior, with it can be saved.

    Then it is a loss of `fit`, and every method takes it.

    A subclass within the package names its constructor arguments in `_parameters`.

    Args:
        reduction: "sum_over_batch_size" or "mean" (the default, and the same), or
            "mean_with_sample_weight" (then `num_data` is the sum of the weights). "sum" is
            refused; so are None and "none", with which `fit` fails or takes the sum: `log_prob`
            gives one value for each observation.
        name: string or None, the name of the loss.
        dtype: string, `keras.DTypePolicy` or None, the dtype of the loss. Defaults to None,
            which is `keras.config.floatx()`, under mixed precision too.
    """

    is_discrete = False
    """Whether targets are counts or classes, so that `log_prob` is that of a probability."""

    _parameters: tuple[str, ...] = ()
    _outputs_per_target = 1
    # Set by `get` for a stock loss that averages over outputs: the name of that loss.
    _averages_outputs: str | None = None

    def __init__(
        self,
        *,
        reduction: str = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        refuse_reduction(type(self).__name__, reduction)
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self._given_dtype = None if dtype is None else self.dtype
        # Its value is the weight of every observation.
        self._weights = _Ones()

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The loss: see the class."""
        y_true = ops.convert_to_tensor(y_true, dtype=self.dtype)
        # Keras multiplies by the weights in the end, and 0 * inf is NaN: `call` has to know them.
        counted = self._weights(y_pred, y_pred, self._spread(sample_weight, y_pred))
        return super().__call__((y_true, counted), y_pred, self._spread(sample_weight, y_pred))

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """-log density of every observation, in nats."""
        target, counted = y_true if isinstance(y_true, tuple) else (y_true, None)
        outputs = self._checked(y_pred)
        losses = -self.joint_log_density(self.aligned(target, outputs, draws=False), outputs)
        if counted is None:
            return losses
        return ops.where(counted == 0, ops.zeros_like(losses), losses)

    def log_prob(self, y: Any, outputs: Any) -> Any:
        """Log density of every observation in nats, constants included; -inf outside the support.

        Args:
            y: the targets.
            outputs: outputs of the model, with or without a leading axis of draws.
        """
        outputs = self._checked(outputs)
        return self.joint_log_density(self.aligned(y, outputs, draws=True), outputs)

    @abstractmethod
    def distribution(self, outputs: Any) -> Any:
        """The native distribution (TFP, or `torch.distributions`) of one observation's target.

        Its batch shape is that of the observations, its event is the target of one.
        """

    @abstractmethod
    def mean(self, outputs: Any) -> Any:
        """E[y | outputs], in the shape of the target."""

    @abstractmethod
    def variance(self, outputs: Any) -> Any:
        """Var[y | outputs] of every element of the target."""

    def sample(self, outputs: Any, seed: Any = None) -> Any:
        """Draw a target for each of `outputs`; int32 where targets are discrete.

        Args:
            outputs: outputs of the model, with or without a leading axis of draws.
            seed: integer, `keras.random.SeedGenerator` or None (fresh entropy, the default).
        """
        draw = backend.sample(self.distribution(outputs), (), backend.as_seed(seed))
        return ops.cast(draw, "int32") if self.is_discrete else ops.convert_to_tensor(draw)

    def aligned(self, y: Any, outputs: Any, draws: bool) -> Any:
        """The target as a tensor with the axes of `outputs`, or refused.

        By default a target has one element for each output, and may lack the last axis where
        there is one output. Override it where a target is something else.

        Args:
            y: the targets.
            outputs: tensor of at least float32, (n, ..., d).
            draws: whether `outputs` may have a leading axis that the target lacks.
        """
        width = outputs.shape[-1] // self._outputs_per_target
        y = ops.convert_to_tensor(y, dtype=outputs.dtype)
        suffixes: list[Shape] = [(width,), ()] if width == 1 else [(width,)]
        y = align(type(self).__name__, y, outputs, suffixes, draws)
        return y if len(y.shape) == len(outputs.shape) else ops.expand_dims(y, axis=-1)

    @abstractmethod
    def joint_log_density(self, y: Any, outputs: Any) -> Any:
        """Log density of every observation in nats, (n, ...), -inf outside the support.

        Args:
            y: what `aligned` gave. Values outside the support must not make a NaN, in the
                gradient neither: take the density at a value inside, and replace it by -inf.
            outputs: tensor of at least float32, (n, ..., d), with or without an axis of draws.
        """

    def _information(self, y: Any, outputs: Any) -> Any:
        """Fisher information of the outputs of each observation, (n, ..., d, d), or None.

        With it `inference.Laplace` needs no second derivatives, of which single ones may be
        negative. None where they are taken, as of a likelihood of one's own.

        Args:
            y: the targets, which matter where they bring a number of trials.
            outputs: tensor (n, ..., d).
        """
        del y, outputs
        return None

    @staticmethod
    def native(name: str, **parameters: Any) -> Any:
        """The native distribution of a name, for `distribution`: TFP's names, on every backend.

        Args:
            name: str, such as "Categorical" or "Independent" (with `distribution` and `ndims`).
            **parameters: its parameters by TFP's names.
        """
        return backend.distribution(name, **parameters)

    def _spread(self, sample_weight: Any, y_pred: Any) -> Any:
        """One weight for each observation: that of a row goes to all its steps."""
        if sample_weight is None:
            return None
        weight = ops.convert_to_tensor(sample_weight, dtype=self.dtype)
        shape = ops.shape(y_pred)[:-1] if len(y_pred.shape) > 1 else ops.shape(y_pred)
        if len(weight.shape) == len(shape) + 1 and weight.shape[-1] == 1:
            weight = ops.squeeze(weight, axis=-1)
        if len(weight.shape) > len(shape):
            raise ValueError(
                f"A sample weight of {type(self).__name__} belongs to an observation: all "
                "axes of the outputs but the last. Received: sample weights of shape "
                f"{tuple(weight.shape)} and outputs of shape {tuple(y_pred.shape)}. Give one "
                "weight for each row, or for each step."
            )
        while len(weight.shape) < len(shape):
            weight = ops.expand_dims(weight, axis=-1)
        # A copy of its own: on PyTorch, Keras multiplies the mask into the weights it is given.
        return ops.copy(ops.broadcast_to(weight, shape))

    def _checked(self, outputs: Any) -> Any:
        """Outputs as a tensor of at least float32 with a last axis, refused where they misfit."""
        outputs = ops.convert_to_tensor(outputs)
        dtype = keras.backend.standardize_dtype(outputs.dtype)
        outputs = ops.cast(outputs, "float64" if dtype == "float64" else "float32")
        if len(outputs.shape) == 1 and self._outputs_per_target == 1:
            outputs = ops.expand_dims(outputs, axis=-1)
        self._check_outputs(tuple(outputs.shape))
        return outputs

    def _check_outputs(self, shape: tuple[int | None, ...]) -> None:
        name, width = type(self).__name__, shape[-1] if shape else None
        if width is None:
            raise ValueError(
                f"The outputs of {name} must have a last axis of known size. "
                f"Received: outputs of shape {shape}."
            )
        if width == 0 or width % self._outputs_per_target:
            raise ValueError(
                f"{name} takes {self._outputs_per_target} outputs for each target, so the last "
                f"axis of the outputs must be a multiple of {self._outputs_per_target}. "
                f"Received: outputs of shape {shape}. End the model with "
                f"keras.layers.Dense({self._outputs_per_target} * d) for d targets."
            )
        if self._averages_outputs is not None and width > 1:
            raise ValueError(
                f"The stock loss {self._averages_outputs!r} is a log density for one output only: "
                f"of {width} it takes the mean where the log density is their sum, so that a "
                f"prior weighs {width} times too much beside it. Received: outputs of shape "
                f"{shape}. Compile the model with loss=keras_priors.likelihoods.{self!r}."
            )
        for parameter in self._parameters:
            value = getattr(self, parameter)
            if np.ndim(value) == 1 and len(value) != width // self._outputs_per_target:
                raise ValueError(
                    f"`{parameter}` of {name} must be a number, or a vector with one entry for "
                    f"each target. Received: {len(value)} entries and outputs of shape {shape}."
                )

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments, JSON-serializable."""
        values = {name: getattr(self, name) for name in self._parameters}
        return {
            **{k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in values.items()},
            "reduction": self.reduction,
            "name": self.name,
            "dtype": self._given_dtype,
        }

    def __repr__(self) -> str:
        parts = [f"{name}={getattr(self, name)!r}" for name in self._parameters]
        return f"{type(self).__name__}({', '.join(parts)})"


class _Ones(keras.losses.Loss):
    """A Keras loss of ones without reduction, so that its value is the weights themselves.

    The mask of a tensor has no public accessor; to let Keras apply it is the public way.
    """

    def __init__(self) -> None:
        # TensorFlow takes no name of a scope that begins with an underscore.
        super().__init__(reduction="none", name="ones")

    def call(self, y_true: Any, y_pred: Any) -> Any:
        del y_true
        return ops.ones_like(y_pred[..., 0] if len(y_pred.shape) > 1 else y_pred)
