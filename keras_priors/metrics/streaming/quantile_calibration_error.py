"""How far quantiles are from what they say, as a metric."""

from typing import Any

from keras_priors.metrics.arithmetic import KERAS
from keras_priors.metrics.pit_bins import distance_from_uniform, levels, pit_bins
from keras_priors.metrics.scores import normal_cdf
from keras_priors.metrics.streaming.number_metric import NumberMetric
from keras_priors.utils.export import export


@export("keras_priors.metrics")
class QuantileCalibrationError(NumberMetric):
    """Quantile calibration error, as a metric: see `quantile_calibration_error`.

    What that function says of all rows, one batch after the other, in `compile(metrics=[...])` and
    `evaluate`. In `fit` the outputs are those of one draw.

    Args:
        likelihood: `keras_priors.likelihoods.Normal` or `HeteroscedasticNormal`, by which outputs
            are read.
        n_bins: integer, at least 2. Defaults to 20: the quantiles of 5%, 10%, ..., 95%.
        name: string or None, the name in the logs. Defaults to None: "quantile_calibration_error".
        dtype: as in `keras.metrics.Metric`.

    Raises:
        TypeError: `likelihood` is no likelihood.
        ValueError: it is one of which the metric is not defined, or `n_bins` is below 2.

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> metric = kp.metrics.QuantileCalibrationError(kp.likelihoods.Normal(1.0))
        >>> metric.update_state(np.array([[0.0], [2.0]]), np.array([[0.0], [0.0]]))
        >>> round(float(metric.result()), 4)
        0.2368
    """

    _parameters = ("n_bins",)

    def __init__(
        self,
        likelihood: Any,
        n_bins: int = 20,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(likelihood, name or "quantile_calibration_error", dtype)
        self.n_bins = levels("QuantileCalibrationError", n_bins)

    def _scores(self, y: Any, mean: Any, scale: Any) -> Any:
        return normal_cdf(KERAS, y, mean, scale)

    def _number_sums(self, y: Any, mean: Any, scale: Any, weights: Any) -> Any:
        return pit_bins(KERAS, self._scores(y, mean, scale), weights, self.n_bins)

    def _value(self, sums: Any) -> Any:
        return distance_from_uniform(KERAS, sums)
