"""The expected log predictive density by leave-one-out, where it is defined."""

from __future__ import annotations

import importlib.util
import warnings
from typing import Any

import keras
import numpy as np

from keras_priors.inference.import_arviz import import_arviz
from keras_priors.inference.sample_posterior import SamplePosterior

# Fewer draws give no tail to smooth.
_FEWEST = 100
_MOST = 4000
# Where k of the Pareto tail of an observation is larger, its importance weights say nothing.
_LARGEST_K = 0.7
_SHARE_ABOVE = 0.05


def leave_one_out(posterior: Any) -> float | None:
    """Mean over observations of the PSIS-LOO log density in nats, or None.

    For draws from the posterior itself alone: importance weights of draws from an approximation
    would be those of another posterior. None too where more than a twentieth of the observations
    are so influential that the draws cannot tell how it would be without them (Vehtari et al.,
    2017, section 2.1).
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
        # Of single large weights; more of them are counted below.
        warnings.simplefilter("ignore", UserWarning)
        found = import_arviz().loo(data, pointwise=True)
    if np.mean(np.asarray(found.pareto_k) > _LARGEST_K) > _SHARE_ABOVE:
        return None
    return float(np.mean(found.loo_i))
