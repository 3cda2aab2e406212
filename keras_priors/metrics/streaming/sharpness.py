"""How concentrated predictions are, as a metric."""

from typing import Any

from keras_priors.metrics.streaming.number_metric import NumberMetric
from keras_priors.utils.export import export


@export("keras_priors.metrics")
class Sharpness(NumberMetric):
    """Mean standard deviation of y*, as a metric: see `sharpness`.

    What that function says of all rows, one batch after the other, in `compile(metrics=[...])` and
    `evaluate`. In `fit` the outputs are those of one draw.

    Args:
        likelihood: `keras_priors.likelihoods.Normal` or `HeteroscedasticNormal`, by which outputs
            are read.
        name: string or None, the name in the logs. Defaults to None: "sharpness".
        dtype: as in `keras.metrics.Metric`.

    Raises:
        TypeError: `likelihood` is no likelihood.
        ValueError: it is one of which the metric is not defined.

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> metric = kp.metrics.Sharpness(kp.likelihoods.Normal(1.0))
        >>> metric.update_state(np.array([[0.0], [2.0]]), np.array([[0.0], [0.0]]))
        >>> round(float(metric.result()), 4)
        1.0
    """

    def __init__(
        self,
        likelihood: Any,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(likelihood, name or "sharpness", dtype)

    def _scores(self, y: Any, mean: Any, scale: Any) -> Any:
        del y, mean
        return scale
