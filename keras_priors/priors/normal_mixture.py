"""The log density of a scale mixture of normals, in log space."""

import math
from typing import Any

from keras import ops


def log_normal_mixture(w: Any, log_weights: list[Any], scales: list[Any]) -> Any:
    """log sum_k weight_k N(w | 0, scale_k^2) + log(2 pi) / 2 for each element of w.

    Component by component: the library's mixture stacks them on a new axis, which costs twice
    the time and memory for each component. The largest term is taken out, so that the others
    underflow and not the sum.
    """
    terms = [
        log_weight - ops.log(scale) - 0.5 * ops.square(w / scale)
        if ops.is_tensor(scale)
        else (log_weight - math.log(scale)) - 0.5 * ops.square(w * (1.0 / scale))
        for log_weight, scale in zip(log_weights, scales, strict=True)
    ]
    largest = terms[0]
    for term in terms[1:]:
        largest = ops.maximum(largest, term)
    # Its gradient cancels: without it there is one backward pass less.
    largest = ops.stop_gradient(largest)
    total: Any = 0.0
    for term in terms:
        total = total + ops.exp(term - largest)
    return largest + ops.log(total)
