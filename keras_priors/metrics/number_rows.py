"""Scores of single rows of numbers, (N, ...): of a `Predictive`, or of arrays."""

from typing import Any

import numpy as np

from keras_priors.likelihoods.laplace import Laplace
from keras_priors.likelihoods.poisson import Poisson
from keras_priors.metrics.arithmetic import NUMPY
from keras_priors.metrics.mixtures import (
    check_numbers,
    draw_moments,
    is_normal,
    mean_cdf,
    mixture_cdf,
    normal_mixture_crps,
    of_samples,
    quantile,
    quantile_crps,
    sample_crps,
    target_shape,
)
from keras_priors.metrics.rows import like_rows, real_array
from keras_priors.metrics.scores import hits, interval_scores, pinball_losses
from keras_priors.predictive.predictive import Predictive
from keras_priors.predictive.quantile_predictive import QuantilePredictive
from keras_priors.utils.export import share

# Rows for whose draws there is memory at once.
_ELEMENTS = 2_000_000


@share
def crps_rows(y: Any, prediction: Any) -> Any:
    """The CRPS of each number, of a predictive or of samples (S, N, ...)."""
    if isinstance(prediction, QuantilePredictive):
        return quantile_crps(prediction, like_rows(y, target_shape(prediction), "y_true"))
    if not isinstance(prediction, Predictive):
        samples = real_array(prediction, "prediction")
        if samples.ndim < 2 or 0 in samples.shape:
            raise ValueError(
                "`prediction` must be a Predictive, or samples of the shape (S, N, ...). Received: "
                f"shape {samples.shape}."
            )
        return sample_crps(samples, like_rows(y, samples.shape[1:], "y_true"))
    check_numbers(prediction, "crps")
    y = like_rows(y, target_shape(prediction), "y_true")
    if not is_normal(prediction):
        return of_samples(prediction, sample_crps, y)
    mean, scale = draw_moments(prediction)
    size = max(1, _ELEMENTS // mean[:, 0].size)
    blocks = [slice(start, start + size) for start in range(0, len(y), size)]
    return np.concatenate([normal_mixture_crps(y[b], mean[:, b], scale[:, b]) for b in blocks])


def ends(y: Any, prediction: Any, coverage: float, owner: str) -> tuple[Any, Any, Any]:
    """(y, lower end, upper end), all of one shape, of a predictive or of a pair of arrays."""
    if isinstance(prediction, (tuple, list)) and len(prediction) == 2:
        low, high = (real_array(end, "prediction") for end in prediction)
        if low.shape != high.shape or low.ndim == 0 or np.any(low > high):
            raise ValueError(
                "An interval is a pair (lower, upper) of arrays of one shape, the lower ends not "
                f"above the upper. Received: shapes {low.shape} and {high.shape}, "
                f"{int(np.sum(low > high)) if low.shape == high.shape else 'some'} crossed."
            )
        return (low if y is None else like_rows(y, low.shape, "y_true")), low, high
    check_numbers(prediction, owner)
    low, high = (quantile(prediction, 0.5 * (1.0 + sign * coverage)) for sign in (-1.0, 1.0))
    return (low if y is None else like_rows(y, low.shape, "y_true")), low, high


@share
def interval_score_rows(y: Any, prediction: Any, coverage: float) -> Any:
    """The interval score of each number."""
    return interval_scores(NUMPY, *ends(y, prediction, coverage, "interval_score"), coverage)


@share
def coverage_rows(y: Any, prediction: Any, coverage: float) -> Any:
    """1 where the interval holds y."""
    return hits(NUMPY, *ends(y, prediction, coverage, "interval_coverage"))


@share
def width_rows(prediction: Any, coverage: float) -> Any:
    """The width of each interval."""
    _, low, high = ends(None, prediction, coverage, "interval_width")
    return high - low


def pinball_rows(y: Any, prediction: Any, level: float) -> Any:
    """The pinball loss of each number, of a predictive or of an array of quantiles."""
    if isinstance(prediction, (Predictive, QuantilePredictive)):
        check_numbers(prediction, "pinball_loss")
        prediction = quantile(prediction, level)
    found = real_array(prediction, "prediction")
    return pinball_losses(NUMPY, like_rows(y, found.shape, "y_true"), found, level)


def pit_rows(y: Any, predictive: Any, seed: int) -> Any:
    """F(y) of each number; of counts between F(y - 1) and F(y), drawn uniformly."""
    check_numbers(predictive, "pit_values")
    y = like_rows(y, target_shape(predictive), "y_true")
    if isinstance(predictive, QuantilePredictive):
        return predictive.cdf(y)
    if is_normal(predictive):
        return mixture_cdf(y, *draw_moments(predictive))

    random = np.random.default_rng(seed).random(y.shape)
    if isinstance(predictive.likelihood, (Laplace, Poisson)):
        below, to = mean_cdf(predictive, y)
        return below + random * (to - below)

    def share_below(samples: Any, y: Any) -> Any:
        # The rank among samples, drawn uniformly within ties.
        below, ties = (samples < y).sum(axis=0), (samples == y).sum(axis=0)
        return np.stack([below, ties], axis=1) / len(samples)

    parts = of_samples(predictive, share_below, y)
    return parts[:, 0] + random * parts[:, 1]


@share
def std_rows(predictive: Any) -> Any:
    """The standard deviation of y*."""
    check_numbers(predictive, "sharpness")
    return predictive.std
