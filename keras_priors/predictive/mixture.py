"""The mixture over draws of p(y | f_s): its density, its samples, its quantiles."""

import math
from typing import Any

import keras
import numpy as np

from keras_priors import backend
from keras_priors.predictive.by_rows import by_rows

_OBSERVATIONS = 5000
_QUANTILE_SEED = 0


def log_mean_density(likelihood: Any, y: Any, draws: Any) -> Any:
    """log mean_s p(y | f_s) in nats."""
    return log_mean_exp(log_density(likelihood, y, draws))


def log_density(likelihood: Any, y: Any, draws: Any) -> Any:
    """log p(y | f_s) in nats, float64 (S, N, ...)."""
    # y[None]: with as many draws as rows, the axes could be read in two ways.
    log_prob = likelihood.log_prob(y[None], draws)
    return keras.ops.convert_to_numpy(log_prob).astype("float64")


def log_mean_exp(log_prob: Any) -> Any:
    """log mean_s exp(log_prob_s), without overflow."""
    peak = log_prob.max(axis=0)
    # All densities zero: the mean is zero too, and -inf - -inf is not a number.
    safe = np.where(np.isfinite(peak), peak, 0.0)
    with np.errstate(divide="ignore"):
        return safe + np.log(np.exp(log_prob - safe).mean(axis=0))


def sample_mixture(likelihood: Any, draws: Any, n: int, seed: Any) -> Any:
    """n observations (n, N, ...), each at one of the draws, all used equally often."""
    words = keras.ops.convert_to_numpy(backend.as_seed(seed)).tolist()
    chosen = _equally_often(draws.shape[0], n, np.random.default_rng(words))
    seeds = _Seeds(words)
    # As many observations at once as keep blocks small.
    block = max(1, 4_000_000 // max(draws[0].size, 1))
    parts = [
        by_rows(lambda f: _observe(likelihood, f, seeds), draws[chosen[k : k + block]], axis=1)
        for k in range(0, n, block)
    ]
    return np.concatenate(parts)


def quantiles(likelihood: Any, draws: Any, q: Any) -> Any:
    """Quantiles of the mixture by sampling, or of the draws where there is no likelihood."""
    if likelihood is None:
        return _quantile_by_rows(lambda f: f, draws, q, 1)
    copies = math.ceil(_OBSERVATIONS / draws.shape[0])
    seeds = _Seeds([_QUANTILE_SEED])

    def observe(f: Any) -> Any:
        return _observe(likelihood, np.tile(f, (copies,) + (1,) * (f.ndim - 1)), seeds)

    return _quantile_by_rows(observe, draws, q, copies)


def _quantile_by_rows(observe: Any, draws: Any, q: Any, copies: int) -> Any:
    def function(f: Any) -> Any:
        return np.quantile(observe(f).astype("float64"), np.atleast_1d(q), axis=0)

    result = by_rows(function, draws, copies=copies, axis=1)
    return result if q.ndim else result[0]


def _observe(likelihood: Any, draws: Any, seeds: "_Seeds") -> Any:
    return keras.ops.convert_to_numpy(likelihood.sample(draws, seed=seeds.next()))


def _equally_often(num_draws: int, n: int, rng: Any) -> Any:
    chosen = np.tile(np.arange(num_draws), n // num_draws)
    rest = rng.choice(num_draws, n % num_draws, replace=False)
    return rng.permutation(np.concatenate([chosen, rest]))


class _Seeds:
    """One seed after another, by hashing."""

    def __init__(self, words: list[int]) -> None:
        self._sequence = np.random.SeedSequence(words)

    def next(self) -> Any:
        (child,) = self._sequence.spawn(1)
        return keras.ops.convert_to_tensor(child.generate_state(2), dtype="uint32")
