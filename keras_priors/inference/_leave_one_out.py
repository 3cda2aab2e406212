"""The expected log predictive density by leave-one-out, where it is defined."""

from __future__ import annotations

import importlib.util
import warnings
from typing import Any

import keras
import numpy as np

from keras_priors.inference._arviz import import_arviz
from keras_priors.inference.sample_posterior import SamplePosterior

# Fewer draws give no tail to smooth.
_FEWEST = 100
_MOST = 4000


def leave_one_out(posterior: Any) -> float | None:
    """Mean over observations of the PSIS-LOO log density in nats, or None.

    For draws from the posterior itself alone: importance weights of draws from an approximation
    would be those of another posterior.
    """
    if not isinstance(posterior, SamplePosterior) or posterior._observations is None:
        return None
    if keras.tree.is_nested(posterior.likelihood) or posterior.default_num_samples < _FEWEST:
        return None
    if importlib.util.find_spec("arviz") is None:
        return None
    number = min(posterior.default_num_samples, _MOST)
    per_chain = number // posterior.num_chains
    data = posterior.to_arviz(num_samples=per_chain)
    with warnings.catch_warnings():
        # Of single large weights; the mean over observations bears them.
        warnings.simplefilter("ignore", UserWarning)
        found = import_arviz().loo(data, pointwise=True)
    return float(np.mean(found.loo_i))
