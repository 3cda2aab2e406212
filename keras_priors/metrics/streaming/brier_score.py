"""The Brier score, as a metric."""

from typing import Any

from keras_priors.metrics.arithmetic import KERAS
from keras_priors.metrics.bins import brier_part, class_tables
from keras_priors.metrics.parameters import part_or_total
from keras_priors.metrics.scores import squared_distances
from keras_priors.metrics.streaming.class_metric import ClassMetric
from keras_priors.metrics.streaming.streaming_metric import weighted_sums
from keras_priors.utils.export import export
from keras_priors.utils.parameters import whole_number


@export("keras_priors.metrics")
class BrierScore(ClassMetric):
    """Brier score or a part of it, as a metric: see `brier_score`.

    What that function says of all rows, one batch after the other, in `compile(metrics=[...])` and
    `evaluate`. In `fit` the outputs are those of one draw.

    Args:
        likelihood: `keras_priors.likelihoods.Categorical`, `Bernoulli` or `Ordinal`, by which
            outputs are read.
        part: "total", "reliability", "resolution" or "uncertainty". Defaults to "total".
        n_bins: integer, bins of equal width of a probability, for the parts. Defaults to 15.
        name: string or None, the name in the logs. Defaults to None: "brier_score".
        dtype: as in `keras.metrics.Metric`.

    Raises:
        TypeError: `likelihood` is no likelihood.
        ValueError: it is one of which the metric is not defined, or another `part`.

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> metric = kp.metrics.BrierScore(kp.likelihoods.Categorical())
        >>> metric.update_state(np.array([0, 1]), np.log([[0.8, 0.2], [0.9, 0.1]]))
        >>> round(float(metric.result()), 4)
        0.85
    """

    _parameters = (
        "part",
        "n_bins",
    )

    def __init__(
        self,
        likelihood: Any,
        part: str = "total",
        n_bins: int = 15,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(likelihood, name or "brier_score", dtype)
        self.part = part_or_total(part)
        self.n_bins = whole_number("BrierScore", "n_bins", n_bins)

    def _class_sums(self, labels: Any, probabilities: Any, weights: Any) -> Any:
        if self.part == "total":
            return weighted_sums(squared_distances(KERAS, labels, probabilities), weights)
        return class_tables(KERAS, labels, probabilities, weights, self.n_bins)

    def _value(self, sums: Any) -> Any:
        if self.part == "total":
            return sums[0] / sums[1]
        return brier_part(KERAS, sums, self.part)
