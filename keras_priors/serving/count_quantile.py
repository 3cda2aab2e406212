"""Quantiles of a mixture of distributions of counts, in a graph."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors import backend, likelihoods
from keras_priors.likelihoods.link import log_probabilities
from keras_priors.likelihoods.score_table import score_table
from keras_priors.serving.beta_tail import beta_tail
from keras_priors.serving.gamma_tail import gamma_tail
from keras_priors.utils.parameters import constant

# Each halves the range in which it is: to the very count below 1e5, or 2^-24 of the range.
STEPS = 24


def count_quantile(likelihood: Any, draws: Any, q: Sequence[float]) -> Any:
    """The least y = 0, 1, 2 ... with mean_s F(y | f_s) >= q, each element by itself.

    By bisection between bounds that mean and variance of the mixture give (Cantelli's
    inequality). Where F comes within 6e-6 of q it may be the count beside.

    Args:
        likelihood: one of `COUNT_TAILS`, or `ZeroInflated` of one.
        draws: outputs (S, N, ...), a tensor.
        q: numbers between 0 and 1.

    Returns:
        (N, ..., d, Q), floats.
    """
    draws = likelihood._checked(draws)
    means = likelihood.mean(draws)
    mean = ops.mean(means, axis=0)
    variance = ops.mean(likelihood.variance(draws), axis=0) + ops.mean(
        ops.square(means - ops.expand_dims(mean, 0)), axis=0
    )
    shape = ops.shape(mean)
    mean, std = ops.reshape(mean, (1, 1, -1)), ops.reshape(ops.sqrt(variance), (1, 1, -1))
    levels = np.asarray(q, "float64")[:, None, None]
    dtype = mean.dtype
    under, over = (constant(np.sqrt(odds), dtype) for odds in _odds(levels))
    low = ops.maximum(ops.floor(mean - std * under) - 1.0, -1.0)
    high = ops.maximum(ops.ceil(mean + std * over), 0.0)
    tail = _tail(likelihood, draws)
    # The smaller of the two tails, which has all its digits.
    sign = constant(np.where(levels > 0.5, 1.0, -1.0), dtype)
    wanted = constant(np.minimum(levels, 1.0 - levels), dtype)

    def halve(_: Any, bracket: tuple[Any, Any]) -> tuple[Any, Any]:
        low, high = bracket
        middle = ops.ceil(0.5 * (low + high))
        found = ops.mean(tail(middle, sign), axis=1, keepdims=True)
        enough = sign * (found - wanted) <= 0.0
        return ops.where(enough, low, middle), ops.where(enough, middle, high)

    _, high = backend.repeat_for_export(STEPS, halve, (low, high))
    # -0 is written as 0.
    return ops.moveaxis(ops.reshape(high + 0.0, (len(q), *shape)), 0, -1)


def _odds(levels: Any) -> tuple[Any, Any]:
    return (1.0 - levels) / levels, levels / (1.0 - levels)


def _tail(likelihood: Any, draws: Any) -> Callable[[Any, Any], Any]:
    """(y, sign) to P(Y > y) where the sign is 1, P(Y <= y) where it is -1, (Q, S, elements)."""
    if type(likelihood) is not likelihoods.ZeroInflated:
        return COUNT_TAILS[type(likelihood)](likelihood, draws)
    f, g = likelihood._parts(draws)
    within = COUNT_TAILS[type(likelihood.likelihood)](likelihood.likelihood, f)
    sure, other = _flat(ops.sigmoid(g)), _flat(ops.sigmoid(-g))

    def tail(y: Any, sign: Any) -> Any:
        found = other * within(y, sign)
        return ops.where(sign > 0.0, found, sure + found)

    return tail


def _flat(value: Any) -> Any:
    return ops.reshape(value, (value.shape[0], -1))


def _poisson(likelihood: Any, draws: Any) -> Callable[[Any, Any], Any]:
    """Y > y where a gamma variable of the shape y + 1 is below the rate."""
    if not likelihood.from_log_rate:
        draws = ops.log(ops.maximum(draws, ops.cast(keras.config.epsilon(), draws.dtype)))
    f, table = _flat(draws), score_table()
    return lambda y, sign: gamma_tail(y + 1.0, table)(f - ops.log(y + 1.0), -sign)


def _negative_binomial(likelihood: Any, draws: Any) -> Callable[[Any, Any], Any]:
    """Y > y where a beta variable of r and y + 1 is above r / (r + m)."""
    log_mean, dispersion = likelihood._log_mean_and_dispersion(draws)
    f, r = _flat(log_mean), _flat(1.0 / (ops.zeros_like(log_mean) + dispersion))
    u, table = ops.log(r) - f, score_table()
    return lambda y, sign: beta_tail(r, y + 1.0, table)(u, sign)


def _binomial(likelihood: Any, draws: Any) -> Callable[[Any, Any], Any]:
    """Y > y where a beta variable of y + 1 and n - y is below p."""
    log_p, log_rest = log_probabilities(likelihood.link, draws)
    n, u = _flat(ops.zeros_like(draws) + likelihood._trials(draws)), _flat(log_p - log_rest)
    table = score_table()

    def tail(y: Any, sign: Any) -> Any:
        inside = y < n
        left = ops.where(inside, n - y, ops.ones_like(n))
        found = beta_tail(y + 1.0, left, table)(u, -sign)
        return ops.where(inside, found, ops.relu(-sign))

    return tail


COUNT_TAILS: dict[type, Callable[[Any, Any], Callable[[Any, Any], Any]]] = {
    likelihoods.Poisson: _poisson,
    likelihoods.NegativeBinomial: _negative_binomial,
    likelihoods.Binomial: _binomial,
}
"""By type, from likelihood and outputs to the tails of what is counted."""
