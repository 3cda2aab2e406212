"""The categorical likelihood."""

from typing import Any

import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.likelihoods.align import align
from keras_priors.likelihoods.likelihood import Likelihood
from keras_priors.likelihoods.parameters import flag
from keras_priors.utils.export import export

# Half-precision softmax rows add up to one within this.
_SUM_TOLERANCE = 0.01


@export()
class Categorical(Likelihood):
    """One of c classes.

        -log p(y | f) = logsumexp(f) - f_y        (nats)

    with f the c logits of an observation. With a time axis every unmasked step is an
    observation, as in Keras, and `num_data` counts steps.

    Args:
        from_logits: bool. Whether the outputs are logits (the default) or, where False,
            probabilities, as a softmax gives them. Probabilities are taken as at least
            `keras.config.epsilon()`, as Keras' losses do, because a softmax saturates; where
            they are negative or do not add up to 1 the loss is +inf.
        reduction, name, dtype: see `Likelihood`.

    Shapes:
        outputs (n, ..., c); targets are class indices of shape (n, ...) or (n, ..., 1), or
        one-hot of shape (n, ..., c). An index that is no class, or a row that is not one-hot (a
        soft label), has no density: the loss is +inf. `mean` and `variance` are those of the
        one-hot target, `sample` gives indices.

    Raises:
        TypeError: `from_logits` is not a bool.
        ValueError: fewer than 2 classes, a target that does not fit the outputs, or
            `reduction="sum"`.

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> likelihood = kp.likelihoods.Categorical()
        >>> round(float(likelihood(np.array([0, 3]), np.zeros((2, 4)))), 4)     # log 4
        1.3863

    References:
        - Bishop, 2006, Pattern recognition and machine learning, equations 4.104 and 4.108.
    """

    is_discrete = True
    _parameters = ("from_logits",)

    def __init__(
        self,
        from_logits: bool = True,
        *,
        reduction: str = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(reduction=reduction, name=name, dtype=dtype)
        self.from_logits = flag("Categorical", "from_logits", from_logits)

    def probabilities(self, outputs: Any) -> Any:
        """Probability of every class, along the last axis."""
        outputs = self._checked(outputs)
        return ops.softmax(outputs, axis=-1) if self.from_logits else outputs

    def mean(self, outputs: Any) -> Any:
        """Mean of the one-hot target: the probabilities."""
        return self.probabilities(outputs)

    def variance(self, outputs: Any) -> Any:
        """Variance of every element of the one-hot target: p (1 - p)."""
        probabilities = self.probabilities(outputs)
        return probabilities * (1.0 - probabilities)

    def distribution(self, outputs: Any) -> Any:
        """The native `Categorical` over class indices, one for each observation."""
        name = "logits" if self.from_logits else "probs"
        return backend.distribution("Categorical", **{name: self._checked(outputs)})

    def _check_outputs(self, shape: tuple[int | None, ...]) -> None:
        super()._check_outputs(shape)
        if len(shape) < 2 or shape[-1] == 1:
            raise ValueError(
                "The last axis of the outputs of Categorical must be that of at least 2 classes. "
                f"Received: outputs of shape {shape}. For one output per observation use "
                "keras_priors.likelihoods.Bernoulli()."
            )

    def aligned(self, y: Any, outputs: Any, draws: bool) -> Any:
        """Class indices with the axes of the observations, -1 where a target is no class."""
        classes = outputs.shape[-1]
        y = ops.convert_to_tensor(y, dtype=outputs.dtype)
        y = align("Categorical", y, outputs, [(), (1,), (classes,)], draws)
        if len(y.shape) < len(outputs.shape):
            return y
        if y.shape[-1] == 1:
            return ops.squeeze(y, axis=-1)
        one_hot = ops.logical_and(
            ops.all(ops.logical_or(y == 0.0, y == 1.0), axis=-1), ops.sum(y, axis=-1) == 1.0
        )
        return ops.where(one_hot, ops.cast(ops.argmax(y, axis=-1), y.dtype), -1.0)

    def joint_log_density(self, y: Any, outputs: Any) -> Any:
        known = ops.logical_and(ops.logical_and(y >= 0.0, y < outputs.shape[-1]), y == ops.floor(y))
        y = ops.cast(ops.where(known, y, 0.0), "int32")
        if tuple(y.shape) != tuple(outputs.shape[:-1]):
            y = ops.broadcast_to(y, ops.shape(outputs)[:-1])
        # The fused kernels of the backends, where a distribution would normalize all logits
        # first and then pick one.
        loss = ops.sparse_categorical_crossentropy(y, outputs, from_logits=self.from_logits)
        log_density = -ops.cast(loss, outputs.dtype)  # float64 on JAX, where that is allowed
        if not self.from_logits:
            total = ops.sum(outputs, axis=-1)
            valid = ops.logical_and(
                ops.all(outputs >= 0.0, axis=-1), ops.abs(total - 1.0) <= _SUM_TOLERANCE
            )
            known = ops.logical_and(known, valid)
        return ops.where(known, log_density, ops.cast(-np.inf, outputs.dtype))
