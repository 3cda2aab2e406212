"""The base class of metrics that add sums of batches."""

from abc import abstractmethod
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors.likelihoods.likelihood import Likelihood
from keras_priors.metrics.rows import refuse_masked


class StreamingMetric(keras.metrics.Metric):
    """A value of sums over all rows, one batch after the other. Abstract.

    A subclass gives `_sums` of a batch, an array whose shape does not depend on the batch, and
    `_value` of the sums of all. The arithmetic is that of the function of the same name.
    """

    _parameters: tuple[str, ...] = ()

    def __init__(self, likelihood: Any, name: str | None = None, dtype: Any = None) -> None:
        if isinstance(likelihood, dict):
            likelihood = keras.saving.deserialize_keras_object(likelihood)
        if not isinstance(likelihood, Likelihood):
            raise TypeError(
                f"`likelihood` of {type(self).__name__} must be a likelihood, by which outputs are "
                f"read. Received: {likelihood!r} of type {type(likelihood).__name__}. Write, for "
                "example, keras_priors.likelihoods.Categorical()."
            )
        super().__init__(name=name, dtype=dtype)
        self.likelihood = likelihood
        self._check_likelihood()
        self._total: Any = None

    @abstractmethod
    def _check_likelihood(self) -> None:
        """Refuse a likelihood of which the metric is not defined."""

    @abstractmethod
    def _sums(self, y: Any, outputs: Any, weights: Any) -> Any:
        """Sums of a batch; `y` is aligned with `outputs`, and each observation has a weight."""

    @abstractmethod
    def _value(self, sums: Any) -> Any:
        """The metric, of the sums of all batches."""

    def _target(self, y_true: Any, outputs: Any) -> Any:
        return self.likelihood.aligned(y_true, outputs, draws=False)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take a batch: the targets, the outputs, and by how much each observation counts."""
        for given in (y_true, y_pred, sample_weight):
            refuse_masked(given)
        likelihood = self.likelihood
        # With the mask that Keras has for the outputs.
        weights = likelihood._weights(y_pred, y_pred, likelihood._spread(sample_weight, y_pred))
        outputs = likelihood._checked(y_pred)
        weights = ops.cast(weights, outputs.dtype)
        sums = self._sums(self._target(y_true, outputs), outputs, weights)
        if self._total is None:
            # Of the number of classes, which the outputs are the first to say.
            self._total = self.add_variable(tuple(sums.shape), "zeros", name="sums")
        self._total.assign_add(ops.cast(sums, self._total.dtype))

    def result(self) -> Any:
        """The value until now, 0 before the first batch."""
        return 0.0 if self._total is None else self._value(ops.convert_to_tensor(self._total))

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments, JSON-serializable."""
        return {
            "likelihood": keras.saving.serialize_keras_object(self.likelihood),
            **{name: getattr(self, name) for name in self._parameters},
            "name": self.name,
            "dtype": self.dtype,
        }


def weighted_sums(values: Any, weights: Any) -> Any:
    """(sum w v, sum w); a row of weight 0 counts nothing, whatever it is."""
    weighted = ops.where(weights == 0.0, ops.zeros_like(values), weights * values)
    return ops.stack([ops.sum(weighted), ops.sum(weights)])


def marked(valid: Any, weights: Any) -> Any:
    """The weights, NaN at rows that are none: within a compiled step nothing can be refused."""
    bad = ops.logical_and(ops.logical_not(valid), weights != 0.0)
    return ops.where(bad, ops.cast(np.nan, weights.dtype), weights)
