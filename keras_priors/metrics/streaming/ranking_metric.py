"""Streaming metrics of rows sorted by how unsure the model is."""

from typing import Any

from keras import ops

from keras_priors.metrics.arithmetic import KERAS
from keras_priors.metrics.bins import top_label
from keras_priors.metrics.parameters import one_of
from keras_priors.metrics.ranking import equal_cells
from keras_priors.metrics.row_ranking import OF, bound, of_probabilities
from keras_priors.metrics.streaming.class_metric import ClassMetric
from keras_priors.metrics.streaming.streaming_metric import marked
from keras_priors.utils.parameters import whole_number


class RankingMetric(ClassMetric):
    """Cells (weight, weight x positive) of a score with bounds. Abstract.

    A subclass gives `_value` of the table.
    """

    def __init__(
        self,
        likelihood: Any,
        score: str,
        of: str,
        num_thresholds: int,
        name: str,
        dtype: Any,
    ) -> None:
        super().__init__(likelihood, name, dtype)
        owner = type(self).__name__
        self.score = one_of("score", score, ("max_probability", "entropy"))
        self.of = one_of("of", of, OF)
        self.num_thresholds = whole_number(owner, "num_thresholds", num_thresholds)

    def _target(self, y_true: Any, outputs: Any) -> Any:
        if self.of == "errors":
            return super()._target(y_true, outputs)
        return ops.cast(ops.convert_to_tensor(y_true), outputs.dtype)

    def _class_sums(self, labels: Any, probabilities: Any, weights: Any) -> Any:
        if self.of == "y":
            positive = ops.equal(labels, 1)
            weights = marked(labels <= 1, weights)
        else:
            positive = ops.logical_not(top_label(KERAS, labels, probabilities)[1])
        score = of_probabilities(KERAS, probabilities, self.score)
        columns = ops.stack(
            [weights, ops.where(positive, weights, ops.zeros_like(weights))], axis=1
        )
        high: Any = bound(self.score, probabilities.shape[-1])
        return equal_cells(KERAS, score, columns, high, self.num_thresholds)
