"""What is known of y* from the draws of a `Predictive`: exactly of normals, else by samples."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_priors.likelihoods.bernoulli import Bernoulli
from keras_priors.likelihoods.categorical import Categorical
from keras_priors.likelihoods.heteroscedastic_normal import HeteroscedasticNormal
from keras_priors.likelihoods.normal import Normal
from keras_priors.likelihoods.poisson import Poisson
from keras_priors.metrics.arithmetic import NUMPY
from keras_priors.metrics.rows import to_numpy
from keras_priors.metrics.scores import absolute_normal, normal_cdf, pinball_losses
from keras_priors.predictive.check_outputs_known import check_outputs_known
from keras_priors.predictive.predictive import Predictive
from keras_priors.predictive.quantile_predictive import QuantilePredictive

_SAMPLES = 5000
# Numbers of a block of rows, in float64 32 MiB.
_ELEMENTS = 4_000_000
# The trapezoid rule on a normal curve is exact to 1e-11 with steps of this many deviations.
_STEP, _TAIL = 0.6, 7.0
# Distance of the levels, standard normal quantiles, at which quantiles are integrated.
_LEVELS = 0.1


def check_numbers(predictive: Any, owner: str) -> None:
    """Refuse what is no predictive distribution of numbers."""
    if isinstance(predictive, QuantilePredictive):
        return
    if not isinstance(predictive, Predictive):
        raise TypeError(
            f"`{owner}` takes a Predictive here. Received: {type(predictive).__name__}. Write "
            "keras_priors.predict(model, x). Of a model with several outputs give one, with its "
            "own targets."
        )
    likelihood = predictive.likelihood
    if likelihood is None or isinstance(likelihood, (Bernoulli, Categorical)):
        raise ValueError(
            f"`{owner}` is of numbers with an order. Received: a Predictive with the likelihood "
            f"{likelihood!r}. Of classes take `brier_score`; without a likelihood, give one to "
            "keras_priors.predict."
        )
    check_outputs_known(f"`{owner}`", predictive)


def is_normal(predictive: Any) -> bool:
    """Whether y* is a mixture of normals."""
    normals = (Normal, HeteroscedasticNormal)
    return isinstance(predictive, Predictive) and isinstance(predictive.likelihood, normals)


def draw_moments(predictive: Predictive) -> tuple[Any, Any]:
    """Means and standard deviations of y* at each draw, (S, N, ...) in float64."""
    likelihood: Any = predictive.likelihood
    one = predictive.draws.ndim == 2
    outputs = predictive.draws[..., None] if one else predictive.draws
    mean = keras.ops.convert_to_numpy(likelihood.mean(outputs)).astype("float64")
    scale = np.sqrt(keras.ops.convert_to_numpy(likelihood.variance(outputs)).astype("float64"))
    scale = np.broadcast_to(scale, mean.shape)
    return (mean[..., 0], scale[..., 0]) if one else (mean, scale)


def target_shape(predictive: Any) -> tuple[int, ...]:
    """The shape of y."""
    if isinstance(predictive, QuantilePredictive):
        return predictive.shape
    shape: tuple[int, ...] = predictive.mean.shape
    return shape


def of_samples(predictive: Predictive, function: Callable[..., Any], *others: Any) -> Any:
    """`function(samples (S, n, ...), other[n], ...)` of samples of y*, block by block of rows."""
    draws = predictive.draws
    size = max(1, _ELEMENTS // (_SAMPLES * max(draws[0, 0].size, 1)))
    parts = []
    for number, start in enumerate(range(0, draws.shape[1], size)):
        rows = slice(start, start + size)
        block = Predictive(draws[:, rows], predictive.likelihood)
        samples = to_numpy(block.sample_observations(_SAMPLES, seed=number)).astype("float64")
        parts.append(function(samples, *(each[rows] for each in others)))
    return np.concatenate(parts)


def _mean_over_draws(function: Callable[..., Any], mean: Any, scale: Any) -> Any:
    """mean_s function(mean_s, scale_s), some draws at a time."""
    size = max(1, _ELEMENTS // (8 * max(mean[0].size, 1)))
    blocks = [slice(start, start + size) for start in range(0, len(mean), size)]
    return sum(function(mean[b], scale[b]).sum(axis=0) for b in blocks) / len(mean)


def mixture_cdf(y: Any, mean: Any, scale: Any) -> Any:
    """mean_s Phi((y - mean_s) / scale_s)."""
    return _mean_over_draws(lambda m, s: normal_cdf(NUMPY, y, m, s), mean, scale)


def mean_cdf(predictive: Predictive, y: Any) -> tuple[Any, Any]:
    """(P(y* < y), P(y* <= y)) of Laplace noise or of Poisson counts, means over the draws."""
    from scipy import stats

    mean, scale = draw_moments(predictive)
    if isinstance(predictive.likelihood, Poisson):
        below = np.mean([stats.poisson.cdf(y - 1.0, rate) for rate in mean], axis=0)
        return below, below + np.mean([stats.poisson.pmf(y, rate) for rate in mean], axis=0)
    parts = zip(mean, scale, strict=True)
    found = np.mean([stats.laplace.cdf(y, m, s / np.sqrt(2.0)) for m, s in parts], axis=0)
    return found, found


def normal_quantile(mean: Any, scale: Any, level: float) -> Any:
    """The quantile of an equal mixture of normals, by bisection of its distribution function."""
    from scipy.special import ndtri

    ends = mean + scale * ndtri(level)
    low, high = ends.min(axis=0), ends.max(axis=0)
    if len(mean) == 1:
        return low
    # As many as halve the bracket to a part in 10^7, far below what the draws know.
    for _ in range(24):
        middle = 0.5 * (low + high)
        below = mixture_cdf(middle, mean, scale) < level
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return 0.5 * (low + high)


def quantile(predictive: Any, level: float) -> Any:
    """A quantile of y* for each of its numbers: exact for normals."""
    if not is_normal(predictive):
        return predictive.quantile(level)
    return normal_quantile(*draw_moments(predictive), level)


def normal_mixture_crps(y: Any, mean: Any, scale: Any) -> Any:
    """E|X - y| - E|X - X'| / 2 of an equal mixture of normals, each (S, ...), in closed form.

    The second term is one of S^2 / 2 pairs, or the integral of F (1 - F), whose integrand is so
    smooth that few points are exact: whichever is less to compute.
    """
    draws = len(mean)
    first = _mean_over_draws(lambda m, s: absolute_normal(NUMPY, y - m, s), mean, scale)
    least, most = scale.min(axis=0), scale.max(axis=0)
    start, end = mean.min(axis=0) - _TAIL * most, mean.max(axis=0) + _TAIL * most
    points = int(np.max((end - start) / (_STEP * least), initial=1.0)) + 2
    if draws == 1 or points > draws // 2:
        return first - _pairs(mean, scale) / draws**2
    step = (end - start) / points
    total = np.zeros(np.shape(least))
    for k in range(1, points):
        below = mixture_cdf(start + k * step, mean, scale)
        total += below * (1.0 - below)
    return first - total * step


def _pairs(mean: Any, scale: Any) -> Any:
    """sum_(s, t) E|X_s - X_t| / 2."""
    found = absolute_normal(NUMPY, 0.0, np.sqrt(2.0) * scale).sum(axis=0) / 2.0
    for s in range(1, len(mean)):
        both = np.sqrt(np.square(scale[:s]) + np.square(scale[s]))
        found += absolute_normal(NUMPY, mean[:s] - mean[s], both).sum(axis=0)
    return found


def quantile_crps(predictive: QuantilePredictive, y: Any) -> Any:
    """2 times the integral over q of the pinball loss, by the trapezoid rule over Phi^-1(q).

    The bend of the integrand where the quantile is y costs a row 4 10^-4 standard deviations at
    most, of either sign.
    """
    from scipy.special import ndtr

    nodes = np.arange(-6.0, 6.0 + 0.5 * _LEVELS, _LEVELS)
    q = ndtr(nodes)
    weights = _LEVELS * np.exp(-0.5 * np.square(nodes)) * np.sqrt(2.0 / np.pi)
    parts = zip(weights, predictive.quantile(q), q, strict=True)
    total: Any = sum(w * pinball_losses(NUMPY, y, x, level) for w, x, level in parts)
    return total


def sample_crps(samples: Any, y: Any) -> Any:
    """mean_s |x_s - y| - sum_(s, t) |x_s - x_t| / (2 S^2), of samples (S, ...)."""
    count = len(samples)
    ranked = np.sort(samples, axis=0)
    # Of sorted numbers the k-th has k - 1 below and S - k above.
    factor = (2.0 * np.arange(1, count + 1) - count - 1.0).reshape(-1, *(1,) * (ranked.ndim - 1))
    spread = (factor * ranked).sum(axis=0) / count**2
    return np.abs(samples - y).mean(axis=0) - spread
