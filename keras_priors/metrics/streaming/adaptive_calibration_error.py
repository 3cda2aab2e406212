"""The adaptive calibration error, as a metric."""

from typing import Any

from keras_priors.metrics.arithmetic import KERAS
from keras_priors.metrics.bins import columns, top_label
from keras_priors.metrics.ranking import equal_cells, equal_mass_gap
from keras_priors.metrics.streaming.class_metric import ClassMetric
from keras_priors.utils.export import export
from keras_priors.utils.parameters import whole_number


@export("keras_priors.metrics")
class AdaptiveCalibrationError(ClassMetric):
    """Adaptive calibration error, as a metric: see `adaptive_calibration_error`.

    What that function says of all rows, one batch after the other, in `compile(metrics=[...])` and
    `evaluate`. In `fit` the outputs are those of one draw.

    Args:
        likelihood: `keras_priors.likelihoods.Categorical`, `Bernoulli` or `Ordinal`, by which
            outputs are read.
        n_bins: integer, number of bins. Defaults to 15.
        num_thresholds: integer, to how many equal steps from 0 to 1 the confidence is known
            when bins are made. Defaults to 1000.
        name: string or None, the name in the logs. Defaults to None: "adaptive_calibration_error".
        dtype: as in `keras.metrics.Metric`.

    Raises:
        TypeError: `likelihood` is no likelihood.
        ValueError: it is one of which the metric is not defined, or a number is below 1.

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> metric = kp.metrics.AdaptiveCalibrationError(kp.likelihoods.Categorical())
        >>> metric.update_state(np.array([0, 1]), np.log([[0.8, 0.2], [0.9, 0.1]]))
        >>> round(float(metric.result()), 4)
        0.55
    """

    _parameters = (
        "n_bins",
        "num_thresholds",
    )

    def __init__(
        self,
        likelihood: Any,
        n_bins: int = 15,
        num_thresholds: int = 1000,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(likelihood, name or "adaptive_calibration_error", dtype)
        self.n_bins = whole_number("AdaptiveCalibrationError", "n_bins", n_bins)
        self.num_thresholds = whole_number(
            "AdaptiveCalibrationError", "num_thresholds", num_thresholds
        )

    def _class_sums(self, labels: Any, probabilities: Any, weights: Any) -> Any:
        confidence, right = top_label(KERAS, labels, probabilities)
        sums = columns(KERAS, confidence, right, weights)
        return equal_cells(KERAS, confidence, sums, 1.0, self.num_thresholds)

    def _value(self, sums: Any) -> Any:
        return equal_mass_gap(KERAS, sums, self.n_bins)
