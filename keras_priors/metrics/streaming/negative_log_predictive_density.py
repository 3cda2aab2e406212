"""The negative log predictive density, as a metric."""

from typing import Any

from keras_priors.metrics.streaming.streaming_metric import StreamingMetric, weighted_sums
from keras_priors.utils.export import export


@export("keras_priors.metrics")
class NegativeLogPredictiveDensity(StreamingMetric):
    """Negative log density in nats, as a metric: see `negative_log_predictive_density`.

    What that function says of all rows, one batch after the other, in `compile(metrics=[...])` and
    `evaluate`: the loss without penalties and KLs. In `fit` the outputs are those of one draw.

    Args:
        likelihood: a likelihood of `keras_priors.likelihoods`.
        name: string or None, the name in the logs. Defaults to None:
            "negative_log_predictive_density".
        dtype: as in `keras.metrics.Metric`.

    Raises:
        TypeError: `likelihood` is no likelihood.

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> metric = kp.metrics.NegativeLogPredictiveDensity(kp.likelihoods.Categorical())
        >>> metric.update_state(np.array([0, 1]), np.log([[0.8, 0.2], [0.9, 0.1]]))
        >>> round(float(metric.result()), 4)
        1.2629
    """

    def __init__(self, likelihood: Any, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(likelihood, name or "negative_log_predictive_density", dtype)

    def _check_likelihood(self) -> None:
        """Each has a density."""

    def _sums(self, y: Any, outputs: Any, weights: Any) -> Any:
        return weighted_sums(-self.likelihood.joint_log_density(y, outputs), weights)

    def _value(self, sums: Any) -> Any:
        return sums[0] / sums[1]
