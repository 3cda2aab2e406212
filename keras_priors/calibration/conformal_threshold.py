"""The score that a new row does not exceed with a probability: the one idea of split conformal."""

import math
from typing import Any

import numpy as np

from keras_priors.utils.warn import warn


def conformal_threshold(scores: Any, coverage: float) -> Any:
    """The k-th smallest of n scores (n, ...) along the first axis, k = ceil((n + 1) coverage).

    +inf where k is above n: then no score is known to be large enough.
    """
    count = len(scores)
    # Less a rounding: 0.28 * 25 is a little more than 7.
    k = math.ceil((count + 1) * coverage - 1e-9)
    if k > count:
        return np.full(scores.shape[1:], np.inf)
    return np.partition(scores, k - 1, axis=0)[k - 1]


def warn_of_too_few(coverage: float, received: str, result: str) -> None:
    """Say that a threshold is infinite, and how many rows it takes."""
    least = math.ceil(coverage / (1.0 - coverage) - 1e-9)
    warn(
        f"A coverage of {coverage:g} takes at least {least} calibration rows. Received: "
        f"{received}. So {result}. Hold back more rows, or ask for less coverage."
    )
