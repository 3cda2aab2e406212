"""A posterior must not leave the support of its prior."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from keras_priors.posteriors.posterior import Posterior
    from keras_priors.priors.prior import Prior


def check_support(posterior: Posterior, prior: Prior) -> None:
    """Raise ValueError where q gives weight to points at which the prior density is zero."""
    low, high = prior.support
    if posterior.support == "point":
        return
    unbounded_below = bool(np.all(np.isneginf(low)))
    unbounded_above = bool(np.all(np.isposinf(high)))
    if unbounded_below and unbounded_above and prior.support_is_interval:
        return
    positive = bool(np.all(np.asarray(low) <= 0.0)) and unbounded_above
    positive = positive and prior.support_is_interval
    if posterior.support == "positive" and positive:
        return
    fitting = "LogNormal (draws are positive) or Delta (a point estimate)" if positive else "Delta"
    raise ValueError(
        "A posterior must not leave the support of its prior: the KL would be infinite. "
        f"Received: posterior {type(posterior).__name__} with draws on the "
        f"{'positive half-line' if posterior.support == 'positive' else 'whole real line'} and "
        f"{prior!r} with support "
        f"{'' if prior.support_is_interval else 'in a part of '}[{low}, {high}]. "
        f"Use a posterior family that fits: {fitting}, from keras_priors.posteriors."
    )
