"""Quantiles of a mixture over draws, in a graph."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from keras_priors import backend, likelihoods
from keras_priors.serving.count_quantile import COUNT_TAILS, count_quantile
from keras_priors.serving.number_families import NUMBER_FAMILIES
from keras_priors.serving.number_quantile import number_quantile
from keras_priors.utils.parameters import constant


def has_quantile(likelihood: Any) -> bool:
    """Whether `mixture_quantile` knows the distribution function: no subclass may have another."""
    inner = _uncensored(likelihood)
    if type(inner) is likelihoods.ZeroInflated:
        return type(inner.likelihood) in COUNT_TAILS
    kinds = *NUMBER_FAMILIES, *COUNT_TAILS, likelihoods.DirichletMultinomial
    return type(inner) in kinds


def mixture_quantile(likelihood: Any, draws: Any, q: Sequence[float]) -> Any:
    """The least y with mean_s F(y | f_s) >= q, each element by itself, (N, ..., d, Q).

    Args:
        likelihood: one that `has_quantile`.
        draws: outputs (S, N, ...), a tensor.
        q: numbers between 0 and 1.
    """
    likelihood = _uncensored(likelihood)
    if type(likelihood) in NUMBER_FAMILIES:
        return number_quantile(likelihood, draws, q)
    if type(likelihood) is likelihoods.DirichletMultinomial:
        return _share_count_quantile(likelihood, draws, q)
    return count_quantile(likelihood, draws, q)


def _uncensored(likelihood: Any) -> Any:
    """What is predicted is y*, and not what would be seen of it."""
    return likelihood.likelihood if type(likelihood) is likelihoods.Censored else likelihood


def _share_count_quantile(likelihood: Any, draws: Any, q: Sequence[float]) -> Any:
    """The least y = 0 ... n with mean_s F(y | f_s) >= q, the count of each kind by itself.

    By sums of probabilities, as many as there are counts: that of one kind is beta-binomial, and
    has no distribution function that is elementary.

    Args:
        likelihood: `DirichletMultinomial`.
        draws: outputs (S, N, ..., K + 1), a tensor.
        q: numbers between 0 and 1.

    Returns:
        (N, ..., K, Q), floats.
    """
    c = likelihood._concentrations(likelihood._checked(draws))
    shape = ops.shape(c)[1:]
    rest = ops.sum(c, axis=-1, keepdims=True) - c
    # As two kinds, that one and all others; (S, elements, 2).
    pair = ops.stack([ops.reshape(each, (c.shape[0], -1)) for each in (c, rest)], axis=-1)
    trials = float(likelihood._trials)
    levels = constant(np.asarray(q, "float64")[:, None], c.dtype)

    def add(y: Any, sums: tuple[Any, Any]) -> tuple[Any, Any]:
        below, count = sums
        y = ops.cast(y, c.dtype)
        counts = ops.zeros_like(pair) + ops.stack([y, trials - y])
        below = below + ops.mean(ops.exp(likelihood._log_mass(counts, pair)), axis=0)
        return below, count + ops.cast(below < levels, c.dtype)

    start = ops.zeros_like(pair[0, :, 0])
    _, count = backend.repeat_for_export(likelihood._trials, add, (start, start + 0.0 * levels))
    return ops.moveaxis(ops.reshape(count, (len(q), *shape)), 0, -1)
