"""The penalties in the loss of a model, evaluated apart from it."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.layers.kl_penalty import KLPenalty
from keras_priors.priors.prior import Prior

# A KL without closed form is averaged over at least this many draws.
_MIN_KL_SAMPLES = 8


def to_numpy(variable: Any) -> np.ndarray:
    """The value of a variable, copied: on JAX the next step overwrites its memory."""
    # A tensor first: NumPy 2 warns about a variable of TensorFlow.
    return np.array(ops.convert_to_numpy(ops.convert_to_tensor(variable)))


class Penalty:
    """One regularizer in the loss: the prior of a weight, the KL of one, or one of another kind."""

    def __init__(self, variable: Any, regularizer: Any) -> None:
        self.variable = variable
        self.regularizer = regularizer
        self.kind = "other"
        if isinstance(regularizer, KLPenalty):
            self.kind = "kl"
        elif isinstance(regularizer, Prior):
            self.kind = "neg_log_prior"

    @property
    def key(self) -> tuple[Any, ...]:
        """What a compiled evaluation depends on."""
        return id(self.variable), id(self.regularizer), self._num_samples, self.temperature

    @property
    def num_data(self) -> int:
        """The divisor in the loss: 1 where it was never given."""
        return 1 if self.kind == "other" else self.regularizer.num_data or 1

    @property
    def temperature(self) -> float:
        """The weight of the entropy: 1 but for a KL in a layer that was given another."""
        return self.regularizer.layer.temperature if self.kind == "kl" else 1.0

    @property
    def kl_weight(self) -> Any:
        """The variable that weighs it, or None."""
        return self.regularizer.layer.kl_weight if self.kind == "kl" else None

    @property
    def _num_samples(self) -> int:
        if self.kind != "kl":
            return 0
        return max(int(self.regularizer.layer.kl_samples), _MIN_KL_SAMPLES)

    def nats(self, seed: Any) -> Any:
        """KL, tempered, or -log p in nats, not divided by `num_data`; else the penalty itself."""
        if self.kind == "kl":
            # With a seed of our own: a draw from the layer's would change the fit.
            return self.regularizer.tempered(seed, self._num_samples)
        value = ops.convert_to_tensor(self.variable)
        if self.kind == "neg_log_prior":
            return -self.regularizer.in_loss(value)
        return self.regularizer(value)


class Penalties:
    """All penalties of a model, each with its value per observation as one array."""

    def __init__(self) -> None:
        self.items: list[Penalty] = []
        self._key: Any = None
        self._function: Any = None
        self._variables: list[Any] = []
        self._evaluations = 0

    def collect(self, model: Any) -> None:
        """Find them as Keras does: on the weights that are trained now."""
        self.items = [
            Penalty(variable, variable.regularizer)
            for variable in model.trainable_weights
            if variable.regularizer is not None
        ]
        variables = [*model.trainable_variables, *model.non_trainable_variables]
        key = (tuple(item.key for item in self.items), tuple(map(id, variables)))
        if key != self._key:
            self._key, self._variables, self._function = key, variables, None

    def evaluate(self) -> np.ndarray:
        """Each penalty at the current weights, divided by its `num_data`, unweighted."""
        if not self.items:
            return np.zeros(0)
        if self._function is None:
            self._function = backend.compile_function(_pure(self.items, self._variables))
        self._evaluations += 1
        seed = backend.as_seed(self._evaluations)
        values = [ops.convert_to_tensor(variable) for variable in self._variables]
        nats = self._function(values, seed)
        num_data = [item.num_data for item in self.items]
        return np.asarray(ops.convert_to_numpy(nats), "float64") / num_data

    def kl_weights(self) -> np.ndarray:
        """The current factor of each penalty in the loss: 1 but for a KL."""
        weights = [item.kl_weight for item in self.items]
        return np.array([1.0 if w is None else float(to_numpy(w)) for w in weights])

    def is_kind(self, kind: str) -> np.ndarray:
        """Which of them are of this kind."""
        return np.array([item.kind == kind for item in self.items], bool)


def _pure(items: Sequence[Penalty], variables: Sequence[Any]) -> Any:
    """The penalties as a function of the values of variables, so that it can be compiled once."""

    def function(values: Any, seed: Any) -> Any:
        with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
            return ops.stack([ops.cast(item.nats(seed), "float32") for item in items])

    return function
