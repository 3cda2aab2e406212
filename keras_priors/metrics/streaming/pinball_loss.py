"""The pinball loss of a quantile, as a metric."""

from statistics import NormalDist
from typing import Any

from keras_priors.metrics.arithmetic import KERAS
from keras_priors.metrics.parameters import fraction
from keras_priors.metrics.scores import pinball_losses
from keras_priors.metrics.streaming.number_metric import NumberMetric
from keras_priors.utils.export import export


@export("keras_priors.metrics")
class PinballLoss(NumberMetric):
    """Pinball loss of a quantile of normals, as a metric: see `pinball_loss`.

    What that function says of all rows, one batch after the other, in `compile(metrics=[...])` and
    `evaluate`. In `fit` the outputs are those of one draw.

    Args:
        likelihood: `keras_priors.likelihoods.Normal` or `HeteroscedasticNormal`, by which outputs
            are read.
        q: float between 0 and 1, the level. Defaults to 0.5.
        name: string or None, the name in the logs. Defaults to None: "pinball_loss".
        dtype: as in `keras.metrics.Metric`.

    Raises:
        TypeError: `likelihood` is no likelihood.
        ValueError: it is one of which the metric is not defined, or `q` is outside of (0, 1).

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> metric = kp.metrics.PinballLoss(kp.likelihoods.Normal(1.0))
        >>> metric.update_state(np.array([[0.0], [2.0]]), np.array([[0.0], [0.0]]))
        >>> round(float(metric.result()), 4)
        0.5
    """

    _parameters = ("q",)

    def __init__(
        self,
        likelihood: Any,
        q: float = 0.5,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(likelihood, name or "pinball_loss", dtype)
        self.q = fraction("PinballLoss", "q", q)

    def _scores(self, y: Any, mean: Any, scale: Any) -> Any:
        quantile = mean + scale * NormalDist().inv_cdf(self.q)
        return pinball_losses(KERAS, y, quantile, self.q)
