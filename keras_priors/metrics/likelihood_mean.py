"""A metric of the mean that a likelihood makes of the outputs."""

from typing import Any

import keras
from keras import ops

from keras_priors.metrics.rows import refuse_masked
from keras_priors.utils.export import export


@export()
class LikelihoodMean(keras.metrics.Metric):
    """A Keras metric of targets and E[y | outputs], for outputs that are more than a mean.

        metric(y, likelihood.mean(outputs))

    `metrics=["mae"]` compares targets with the outputs as they are: with the scales of
    `HeteroscedasticNormal` too, and with the logarithm of a Poisson rate.

    Args:
        likelihood: a likelihood of `keras_priors.likelihoods`.
        metric: a Keras metric, or its name. Defaults to "mae".
        name: string or None, the name in the logs. Defaults to None: "mean_" and that of `metric`.
        dtype: as in `keras.metrics.Metric`.

    Raises:
        TypeError: `likelihood` is no likelihood.

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> metric = kp.metrics.LikelihoodMean(kp.likelihoods.HeteroscedasticNormal(), "mae")
        >>> metric.update_state(np.array([[1.0]]), np.array([[3.0, -7.0]]))   # mean 3, rho -7
        >>> float(metric.result())
        2.0
    """

    def __init__(
        self, likelihood: Any, metric: Any = "mae", name: str | None = None, dtype: Any = None
    ) -> None:
        if isinstance(likelihood, dict):
            likelihood = keras.saving.deserialize_keras_object(likelihood)
        if not (isinstance(likelihood, keras.losses.Loss) and callable(_mean_of(likelihood))):
            raise TypeError(
                "`likelihood` of LikelihoodMean must be a likelihood. Received: "
                f"{likelihood!r} of type {type(likelihood).__name__}. Write, for example, "
                "keras_priors.likelihoods.HeteroscedasticNormal()."
            )
        metric = keras.metrics.get(metric)
        if not isinstance(metric, keras.metrics.Metric):
            metric = keras.metrics.MeanMetricWrapper(metric, name=metric.__name__)
        super().__init__(name=name or f"mean_{metric.name}", dtype=dtype)
        self.likelihood = likelihood
        self.metric = metric

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take a batch: the targets, the outputs, and by how much each observation counts."""
        for given in (y_true, y_pred, sample_weight):
            refuse_masked(given)
        likelihood = self.likelihood
        # With the mask that Keras has for the outputs, of which their mean knows nothing.
        weights = likelihood._weights(y_pred, y_pred, likelihood._spread(sample_weight, y_pred))
        mean = likelihood.mean(y_pred)
        y_true = ops.convert_to_tensor(y_true)
        if len(y_true.shape) + 1 == len(mean.shape) and mean.shape[-1] == 1:
            y_true = ops.expand_dims(y_true, axis=-1)
        self.metric.update_state(y_true, mean, sample_weight=weights)

    def result(self) -> Any:
        """The value of `metric` until now."""
        return self.metric.result()

    def reset_state(self) -> None:
        """Begin anew."""
        self.metric.reset_state()

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments, JSON-serializable."""
        return {
            "likelihood": keras.saving.serialize_keras_object(self.likelihood),
            "metric": keras.saving.serialize_keras_object(self.metric),
            "name": self.name,
            "dtype": self.dtype,
        }


def _mean_of(likelihood: Any) -> Any:
    return getattr(likelihood, "mean", None)
