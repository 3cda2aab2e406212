"""The prior that a layer's arguments name."""

from collections.abc import Callable
from typing import Any

import keras

from keras_priors.priors.prior import Prior


def resolve_prior(
    owner: str, weight: str, prior: Any, regularizer: Any, default: Callable[[], Prior]
) -> Prior:
    """The prior that `{weight}_prior` or `{weight}_regularizer` names, else the default."""
    if isinstance(prior, dict):
        prior = keras.saving.deserialize_keras_object(prior)
    if isinstance(regularizer, dict):
        regularizer = keras.saving.deserialize_keras_object(regularizer)
    if regularizer is not None and not isinstance(regularizer, Prior):
        raise ValueError(
            f"`{weight}_regularizer` of {owner} must be a prior of keras_priors: the KL needs its "
            f"density. Received: {regularizer!r}. For L2(l2) write "
            f"{weight}_prior=keras_priors.NormalPrior(0, scale) with scale = "
            "(2 * l2 * num_data) ** -0.5, for L1(l1) a LaplacePrior with scale = "
            "1 / (l1 * num_data)."
        )
    if prior is not None and regularizer is not None:
        raise ValueError(
            f"Give {owner} one prior for its {weight}: `{weight}_prior` or "
            f"`{weight}_regularizer`, not both. Received: {prior!r} and {regularizer!r}."
        )
    chosen = prior if prior is not None else regularizer
    if chosen is None:
        return default()
    if not isinstance(chosen, Prior):
        raise TypeError(
            f"`{weight}_prior` of {owner} must be a prior such as keras_priors.NormalPrior(0, 1). "
            f"Received: {chosen!r} of type {type(chosen).__name__}."
        )
    return chosen
