"""Priors to a copy whose config has them not."""

from typing import Any

from keras_priors.functional.lost_prior import lost_prior
from keras_priors.priors.prior import Prior
from keras_priors.utils.export import share


@share
def carry_priors(old: Any, new: Any) -> None:
    """What `set_priors(..., saved=False)` set, or removed, with the constraints."""
    for source, target in zip(old.variables, new.variables, strict=True):
        prior = lost_prior(source.regularizer, target.regularizer)
        removed = source.regularizer is None and isinstance(target.regularizer, Prior)
        if prior is not None or removed:
            target.regularizer, target.constraint = prior, source.constraint
