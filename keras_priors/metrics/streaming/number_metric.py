"""Streaming metrics of numbers."""

from abc import abstractmethod
from typing import Any

from keras import ops

from keras_priors.likelihoods.heteroscedastic_normal import HeteroscedasticNormal
from keras_priors.likelihoods.normal import Normal
from keras_priors.metrics.streaming.streaming_metric import StreamingMetric, weighted_sums


class NumberMetric(StreamingMetric):
    """A streaming metric of targets, and of the means and scales of normals. Abstract.

    By default the mean of `_scores` over rows and outputs.
    """

    @abstractmethod
    def _scores(self, y: Any, mean: Any, scale: Any) -> Any:
        """A number for each target, (M,)."""

    def _check_likelihood(self) -> None:
        if not isinstance(self.likelihood, (Normal, HeteroscedasticNormal)):
            raise ValueError(
                f"{type(self).__name__} has a closed form of normals, and within `fit` no other. "
                f"Received: {self.likelihood!r}. Take the function of the metric on a "
                "`Predictive`, or keras_priors.likelihoods.Normal(scale) or "
                "HeteroscedasticNormal()."
            )

    def _sums(self, y: Any, outputs: Any, weights: Any) -> Any:
        mean = self.likelihood.mean(outputs)
        scale = ops.sqrt(self.likelihood.variance(outputs))
        weights = ops.broadcast_to(weights[..., None], ops.shape(mean))
        scale = ops.zeros_like(mean) + scale
        y, mean, scale, weights = (ops.reshape(each, (-1,)) for each in (y, mean, scale, weights))
        return self._number_sums(y, mean, scale, weights)

    def _number_sums(self, y: Any, mean: Any, scale: Any, weights: Any) -> Any:
        return weighted_sums(self._scores(y, mean, scale), weights)

    def _value(self, sums: Any) -> Any:
        return sums[0] / sums[1]
