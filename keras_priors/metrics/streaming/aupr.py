"""The area under the precision-recall curve, as a metric."""

from typing import Any

from keras_priors.metrics.arithmetic import KERAS
from keras_priors.metrics.ranking import average_precision
from keras_priors.metrics.streaming.ranking_metric import RankingMetric
from keras_priors.utils.export import export


@export("keras_priors.metrics")
class AUPR(RankingMetric):
    """Area under the precision-recall curve, as a metric: see `aupr`.

    What that function says of all rows, with the same `num_thresholds`, one batch after the other,
    in `compile(metrics=[...])` and `evaluate`. In `fit` the outputs are those of one draw.

    Args:
        likelihood: `keras_priors.likelihoods.Categorical`, `Bernoulli` or `Ordinal`, by which
            outputs are read.
        score: "max_probability", which is 1 - max_c p_c, or "entropy", in nats. Defaults to
            "max_probability".
        of: "errors", whose positives are the rows with a wrong class; or "y", of which the targets
            are 1 or 0, positive or not, such as rows from elsewhere. Defaults to "errors".
        num_thresholds: integer, cells of equal width into which the score is put. Defaults to 200.
        name: string or None, the name in the logs. Defaults to None: "aupr".
        dtype: as in `keras.metrics.Metric`.

    Raises:
        TypeError: `likelihood` is no likelihood.
        ValueError: it is not one of classes, or another `score`, `of` or number.

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> metric = kp.metrics.AUPR(kp.likelihoods.Categorical())
        >>> metric.update_state(np.array([0, 1]), np.log([[0.9, 0.1], [0.8, 0.2]]))
        >>> round(float(metric.result()), 4)
        1.0
    """

    _parameters = (
        "score",
        "of",
        "num_thresholds",
    )

    def __init__(
        self,
        likelihood: Any,
        score: str = "max_probability",
        of: str = "errors",
        num_thresholds: int = 200,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(likelihood, score, of, num_thresholds, name or "aupr", dtype)

    def _value(self, sums: Any) -> Any:
        return average_precision(KERAS, sums)
