"""Streaming metrics of classes."""

from abc import abstractmethod
from typing import Any

from keras import ops

from keras_priors.likelihoods.bernoulli import Bernoulli
from keras_priors.likelihoods.categorical import Categorical
from keras_priors.likelihoods.ordinal import Ordinal
from keras_priors.metrics.streaming.streaming_metric import StreamingMetric, marked


class ClassMetric(StreamingMetric):
    """A streaming metric of labels and probabilities. Abstract.

    A target that is no class makes the value NaN: within a compiled step nothing can be refused.
    """

    @abstractmethod
    def _class_sums(self, labels: Any, probabilities: Any, weights: Any) -> Any:
        """Sums of rows: int32 labels (M,), probabilities (M, C), weights (M,)."""

    def _check_likelihood(self) -> None:
        if not isinstance(self.likelihood, (Bernoulli, Categorical, Ordinal)):
            raise ValueError(
                f"{type(self).__name__} is of classes. Received: {self.likelihood!r}. Take "
                "keras_priors.likelihoods.Categorical(), Bernoulli() or Ordinal(c), or a metric of "
                "numbers, such as keras_priors.metrics.CRPS."
            )

    def _sums(self, y: Any, outputs: Any, weights: Any) -> Any:
        p = self.likelihood.probabilities(outputs)
        if isinstance(self.likelihood, Bernoulli):
            weights = ops.reshape(ops.broadcast_to(weights[..., None], ops.shape(p)), (-1,))
            y, p = ops.reshape(y, (-1,)), ops.reshape(p, (-1,))
            p = ops.stack([1.0 - p, p], axis=-1)
        else:
            y, weights = ops.reshape(y, (-1,)), ops.reshape(weights, (-1,))
            p = ops.reshape(p, (-1, p.shape[-1]))
        known = ops.logical_and(ops.logical_and(y >= 0.0, y < p.shape[-1]), y == ops.floor(y))
        known = ops.logical_and(known, ops.isfinite(ops.sum(p, axis=-1)))
        p = ops.where(known[:, None], p, 1.0 / p.shape[-1])
        labels = ops.cast(ops.where(known, y, ops.zeros_like(y)), "int32")
        return self._class_sums(labels, p, marked(known, weights))
