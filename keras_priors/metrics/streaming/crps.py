"""The continuous ranked probability score, as a metric."""

from typing import Any

from keras_priors.metrics.arithmetic import KERAS
from keras_priors.metrics.scores import normal_crps
from keras_priors.metrics.streaming.number_metric import NumberMetric
from keras_priors.utils.export import export


@export("keras_priors.metrics")
class CRPS(NumberMetric):
    """Continuous ranked probability score of normals, as a metric: see `crps`.

    What that function says of all rows, one batch after the other, in `compile(metrics=[...])` and
    `evaluate`. In `fit` the outputs are those of one draw.

    Args:
        likelihood: `keras_priors.likelihoods.Normal` or `HeteroscedasticNormal`, by which outputs
            are read.
        name: string or None, the name in the logs. Defaults to None: "crps".
        dtype: as in `keras.metrics.Metric`.

    Raises:
        TypeError: `likelihood` is no likelihood.
        ValueError: it is one of which the metric is not defined.

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> metric = kp.metrics.CRPS(kp.likelihoods.Normal(1.0))
        >>> metric.update_state(np.array([[0.0], [2.0]]), np.array([[0.0], [0.0]]))
        >>> round(float(metric.result()), 4)
        0.8432
    """

    def __init__(
        self,
        likelihood: Any,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(likelihood, name or "crps", dtype)

    def _scores(self, y: Any, mean: Any, scale: Any) -> Any:
        return normal_crps(KERAS, y, mean, scale)
