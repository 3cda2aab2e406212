"""Entropies of classes."""

from typing import Any

import numpy as np

from keras_priors.likelihoods.bernoulli import Bernoulli


def entropy_of(likelihood: Any, probabilities: Any) -> Any:
    """Entropy in nats: over the last axis, or for Bernoulli of each probability of a 1."""
    if isinstance(likelihood, Bernoulli):
        return _plogp(probabilities) + _plogp(1.0 - probabilities)
    return _plogp(probabilities).sum(axis=-1)


def _plogp(p: Any) -> Any:
    # 0 log 0 is 0.
    return -p * np.log(np.where(p > 0, p, 1.0))
