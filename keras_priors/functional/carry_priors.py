"""Priors to a copy whose config has them not."""

from typing import Any

from keras_priors.functional.lost_prior import lost_prior
from keras_priors.utils.export import share


@share
def carry_priors(old: Any, new: Any) -> None:
    """Priors of variables, with their constraints, that `set_priors(..., saved=False)` set."""
    for source, target in zip(old.variables, new.variables, strict=True):
        prior = lost_prior(source.regularizer, target.regularizer)
        if prior is not None:
            target.regularizer, target.constraint = prior, source.constraint
