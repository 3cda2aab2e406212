"""Priors of a posterior's model that the file of the model does not keep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from keras_priors.functional.lost_prior import lost_prior
from keras_priors.functional.weights import Weight, find_weights
from keras_priors.priors.prior import Prior


def unsaved_priors(model: Any) -> dict[str, Any]:
    """By path the configs of what `set_priors(..., saved=False)` set; None where it removed one.

    A layer hands its own `..._regularizer` to the weight, and keeps it in its config. Where the
    weight has another prior than that, or its layer has no such attribute, the prior is written
    once more, which does no harm.
    """
    found = {}
    for weight in _plain(model):
        own, prior = _own(weight), weight.variable.regularizer
        if lost_prior(prior, own) is not None:
            found[weight.path] = keras.saving.serialize_keras_object(prior)
        elif prior is None and isinstance(own, Prior):
            found[weight.path] = None
    return found


def restore_priors(model: Any, configs: Mapping[str, Any]) -> None:
    """Give the weights of a loaded model what `unsaved_priors` found."""
    plain = _plain(model)
    weights = {weight.whole_path: weight for weight in plain}
    weights |= {weight.path: weight for weight in plain}
    for path, config in configs.items():
        if path not in weights:
            raise ValueError(
                f"The priors of a file are those of weights of its model, {sorted(weights)[:8]}. "
                f"Received: one of {path}."
            )
        prior = None if config is None else keras.saving.deserialize_keras_object(config)
        if not (prior is None or isinstance(prior, Prior)):
            raise ValueError(f"A prior must be a Prior. Received: {prior!r} for {path}.")
        _set(weights[path], prior)


def _set(weight: Weight, prior: Prior | None) -> None:
    variable, before = weight.variable, weight.prior
    brought = None if before is None else before.constraint()
    if _config(variable.constraint) == _config(brought):
        variable.constraint = None if prior is None else prior.constraint()
    variable.regularizer = prior


def _plain(model: Any) -> list[Weight]:
    return [weight for weight in find_weights(model) if weight.penalty is None]


def _own(weight: Weight) -> Any:
    return getattr(weight.owner, f"{weight.variable.name}_regularizer", None)


def _config(value: Any) -> Any:
    return None if value is None else keras.saving.serialize_keras_object(value)
