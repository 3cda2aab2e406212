"""What `Predictive` says of draws, in a graph."""

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_priors import likelihoods
from keras_priors.serving.mixture_quantile import mixture_quantile


def is_of_classes(likelihood: Any) -> bool:
    """Whether its outcomes are classes."""
    classes = likelihoods.Bernoulli, likelihoods.Categorical, likelihoods.Ordinal
    return isinstance(likelihood, classes)


def statistics_of(likelihood: Any, draws: Any, q: Sequence[float]) -> dict[str, Any]:
    """By name, tensors (N, ...) as those of `Predictive`; quantiles along a last axis of their own.

    Args:
        likelihood: p(y | f).
        draws: outputs (S, N, ...), a tensor.
        q: which quantiles; none of classes.
    """
    # A likelihood takes the last axis as the outputs of one observation.
    alone = len(draws.shape) == 2
    draws = ops.expand_dims(draws, -1) if alone else draws
    of = _of_classes if is_of_classes(likelihood) else _of_numbers
    found = of(likelihood, draws, q)
    return {name: ops.squeeze(v, 1) if alone else v for name, v in found.items()}


def _of_numbers(likelihood: Any, draws: Any, q: Sequence[float]) -> dict[str, Any]:
    means = likelihood.mean(draws)
    mean = ops.mean(means, axis=0)
    epistemic = ops.mean(ops.square(means - ops.expand_dims(mean, 0)), axis=0)
    aleatoric = ops.mean(likelihood.variance(draws), axis=0)
    found = {
        "mean": mean,
        "std": ops.sqrt(epistemic + aleatoric),
        "epistemic": epistemic,
        "aleatoric": aleatoric,
    }
    return {**found, "quantiles": mixture_quantile(likelihood, draws, q)} if q else found


def _of_classes(likelihood: Any, draws: Any, q: Sequence[float]) -> dict[str, Any]:
    del q
    each = likelihood.probabilities(draws)
    probabilities = ops.mean(each, axis=0)
    entropy = _entropy(likelihood, probabilities)
    expected = ops.mean(_entropy(likelihood, each), axis=0)
    return {
        "probabilities": probabilities,
        "entropy": entropy,
        "expected_entropy": expected,
        # Concave entropy makes it non-negative; the last bits of float32 may not.
        "mutual_information": ops.relu(entropy - expected),
    }


def _entropy(likelihood: Any, p: Any) -> Any:
    """In nats: over the last axis, or for Bernoulli of each probability of a 1."""
    if isinstance(likelihood, likelihoods.Bernoulli):
        return _plogp(p) + _plogp(1.0 - p)
    return ops.sum(_plogp(p), axis=-1)


def _plogp(p: Any) -> Any:
    # 0 log 0 is 0.
    return -p * ops.log(ops.where(p > 0.0, p, ops.ones_like(p)))
