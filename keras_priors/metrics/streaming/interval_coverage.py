"""How often an interval holds what came true, as a metric."""

from statistics import NormalDist
from typing import Any

from keras_priors.metrics.arithmetic import KERAS
from keras_priors.metrics.parameters import fraction
from keras_priors.metrics.scores import hits
from keras_priors.metrics.streaming.number_metric import NumberMetric
from keras_priors.utils.export import export


@export("keras_priors.metrics")
class IntervalCoverage(NumberMetric):
    """Coverage of intervals, as a metric: see `interval_coverage`.

    What that function says of all rows, one batch after the other, in `compile(metrics=[...])` and
    `evaluate`. In `fit` the outputs are those of one draw.

    Args:
        likelihood: `keras_priors.likelihoods.Normal` or `HeteroscedasticNormal`, by which outputs
            are read.
        coverage: float between 0 and 1, of the central interval. Defaults to 0.9.
        name: string or None, the name in the logs. Defaults to None: "interval_coverage".
        dtype: as in `keras.metrics.Metric`.

    Raises:
        TypeError: `likelihood` is no likelihood.
        ValueError: it is one of which the metric is not defined, or `coverage` is not in (0, 1).

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> metric = kp.metrics.IntervalCoverage(kp.likelihoods.Normal(1.0))
        >>> metric.update_state(np.array([[0.0], [2.0]]), np.array([[0.0], [0.0]]))
        >>> round(float(metric.result()), 4)
        0.5
    """

    _parameters = ("coverage",)

    def __init__(
        self,
        likelihood: Any,
        coverage: float = 0.9,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(likelihood, name or "interval_coverage", dtype)
        self.coverage = fraction("IntervalCoverage", "coverage", coverage)

    def _scores(self, y: Any, mean: Any, scale: Any) -> Any:
        half = scale * NormalDist().inv_cdf(0.5 * (1.0 + self.coverage))
        return hits(KERAS, y, mean - half, mean + half)
