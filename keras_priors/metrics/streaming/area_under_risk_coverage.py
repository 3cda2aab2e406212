"""The area under the risk-coverage curve, as a metric."""

from typing import Any

from keras_priors.metrics.arithmetic import KERAS
from keras_priors.metrics.ranking import mean_selective_risk
from keras_priors.metrics.streaming.ranking_metric import RankingMetric
from keras_priors.utils.export import export


@export("keras_priors.metrics")
class AreaUnderRiskCoverage(RankingMetric):
    """Area under the risk-coverage curve of classes, as a metric: see `area_under_risk_coverage`.

    What that function says of all rows, with the same `num_thresholds`, one batch after the other,
    in `compile(metrics=[...])` and `evaluate`. In `fit` the outputs are those of one draw.

    Args:
        likelihood: `keras_priors.likelihoods.Categorical`, `Bernoulli` or `Ordinal`, by which
            outputs are read.
        score: "max_probability", which is 1 - max_c p_c, or "entropy", in nats. Defaults to
            "max_probability".
        num_thresholds: integer, cells of equal width into which the score is put. Defaults to 200.
        name: string or None, the name in the logs. Defaults to None: "area_under_risk_coverage".
        dtype: as in `keras.metrics.Metric`.

    Raises:
        TypeError: `likelihood` is no likelihood.
        ValueError: it is not one of classes, or another `score` or number.

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> metric = kp.metrics.AreaUnderRiskCoverage(kp.likelihoods.Categorical())
        >>> metric.update_state(np.array([0, 1]), np.log([[0.9, 0.1], [0.8, 0.2]]))
        >>> round(float(metric.result()), 4)
        0.25
    """

    _parameters = (
        "score",
        "num_thresholds",
    )

    def __init__(
        self,
        likelihood: Any,
        score: str = "max_probability",
        num_thresholds: int = 200,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            likelihood, score, "errors", num_thresholds, name or "area_under_risk_coverage", dtype
        )

    def _value(self, sums: Any) -> Any:
        return mean_selective_risk(KERAS, sums)
