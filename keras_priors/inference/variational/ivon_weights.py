"""Which weights IVON can put noise around."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from keras_priors.priors.prior import Prior


def is_point(variable: Any) -> bool:
    """Whether noise would take a weight out of where it has to stay."""
    prior = variable.regularizer
    bounded = isinstance(prior, Prior) and (
        not prior.support_is_interval
        or any(np.any(np.isfinite(np.asarray(bound))) for bound in prior.support)
    )
    return bounded or variable.constraint is not None


def check_weight(owner: str, variable: Any, num_data: int, decay: float) -> None:
    """Refuses a weight whose noise or prior would be another than the optimizer's.

    Args:
        owner: name of the optimizer.
        variable: the weight.
        num_data: integer, N of the optimizer.
        decay: float, its `weight_decay`.
    """
    if keras.backend.standardize_dtype(variable.dtype) not in ("float32", "float64"):
        raise ValueError(
            f"{owner} keeps its noise in the weights, and half precision rounds it away. "
            f"Received: {variable.path} of dtype {variable.dtype}. Take the dtype policy "
            '"mixed_bfloat16" or "mixed_float16", which keeps weights in float32.'
        )
    prior = variable.regularizer
    if not isinstance(prior, Prior):
        return
    if decay:
        raise ValueError(
            f"A `weight_decay` of {owner} is the prior N(0, 1 / (N weight_decay)) of every "
            "weight, and a prior of its own would be a second one. Received: weight_decay="
            f"{decay:g}, and {prior!r} of {variable.path}. Leave one of them out; a weight without "
            "a prior gets one by keras_priors.set_priors."
        )
    if prior.num_data not in (None, num_data):
        raise ValueError(
            "Loss and noise must be of the same number of observations. Received: num_data="
            f"{prior.num_data} of the prior of {variable.path}, and num_data={num_data} of "
            f"{owner}. Write `keras_priors.set_num_data(model, {num_data})`, or give the optimizer "
            "the other."
        )
