"""The expected calibration error, as a metric."""

from typing import Any

from keras_priors.metrics.arithmetic import KERAS
from keras_priors.metrics.bins import expected_gap, top_label_table
from keras_priors.metrics.streaming.class_metric import ClassMetric
from keras_priors.utils.export import export
from keras_priors.utils.parameters import whole_number


@export("keras_priors.metrics")
class ExpectedCalibrationError(ClassMetric):
    """Expected calibration error, as a metric: see `expected_calibration_error`.

    What that function says of all rows, one batch after the other, in `compile(metrics=[...])` and
    `evaluate`. In `fit` the outputs are those of one draw.

    Args:
        likelihood: `keras_priors.likelihoods.Categorical`, `Bernoulli` or `Ordinal`, by which
            outputs are read.
        n_bins: integer, number of bins of equal width. Defaults to 15.
        name: string or None, the name in the logs. Defaults to None: "expected_calibration_error".
        dtype: as in `keras.metrics.Metric`.

    Raises:
        TypeError: `likelihood` is no likelihood.
        ValueError: it is one of which the metric is not defined, or `n_bins` is below 1.

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> metric = kp.metrics.ExpectedCalibrationError(kp.likelihoods.Categorical())
        >>> metric.update_state(np.array([0, 1]), np.log([[0.8, 0.2], [0.9, 0.1]]))
        >>> round(float(metric.result()), 4)
        0.55
    """

    _parameters = ("n_bins",)

    def __init__(
        self,
        likelihood: Any,
        n_bins: int = 15,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(likelihood, name or "expected_calibration_error", dtype)
        self.n_bins = whole_number("ExpectedCalibrationError", "n_bins", n_bins)

    def _class_sums(self, labels: Any, probabilities: Any, weights: Any) -> Any:
        return top_label_table(KERAS, labels, probabilities, weights, self.n_bins)

    def _value(self, sums: Any) -> Any:
        return expected_gap(KERAS, sums)
