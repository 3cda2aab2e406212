"""Variational layers that begin at the moments of a posterior."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_priors.functional.weights import find_weights
from keras_priors.layers.variational_layer import VariationalLayer
from keras_priors.models.to_variational import to_variational
from keras_priors.utils.keras_internals import all_layers
from keras_priors.utils.path_matches import tails


def as_layers(
    model: Any,
    mean: Mapping[str, Any],
    stddev: Mapping[str, Any],
    temperature: float | None,
    **options: Any,
) -> keras.Model:
    """`to_variational(model)` for the layers with weights in `mean`, moved to these moments.

    Args:
        model: the plain model.
        mean: means by path.
        stddev: standard deviations by path.
        temperature: that of all layers; None leaves theirs.
        **options: arguments of `to_variational`.
    """
    spread = {path: sd for path, sd in stddev.items() if np.any(np.asarray(sd) > 0)}
    flat = [path for path, sd in spread.items() if not np.all(np.asarray(sd) > 0)]
    if flat or not spread:
        raise ValueError(
            "Variational layers begin at means and at standard deviations above 0. Received: 0 for "
            f"{', '.join(list(flat or stddev)[:8])} of {model.name}: a point, or one draw, has no "
            "spread. Take a method that has one, such as keras_priors.inference.MeanField(), or "
            "keras_priors.to_variational(model), which begins small."
        )
    owners = {id(w.owner) for w in find_weights(model) if w.path in spread}
    new = to_variational(model, layers=lambda layer: _holds(layer, owners), **options)
    rest = []
    for weight in find_weights(new):
        if weight.penalty is None:
            continue
        q = weight.penalty.posterior
        # Within a wrapper the path of a weight begins with the wrapper's name.
        fitting = [path for path in tails(weight.path) if path in spread]
        if fitting:
            path = fitting[0]
            q.assign_mean(mean[path])
            q.assign_stddev(spread[path])
        elif q.support != "point":
            rest.append(weight.path)
    if rest:
        raise ValueError(
            "A layer that is made variational takes the moments of all its weights. Received: a "
            f"posterior without {', '.join(rest[:8])} of {model.name}. Leave them points: "
            f'posterior={{"{rest[0]}": "delta"}}.'
        )
    if temperature is not None:
        for layer in all_layers(new):
            if isinstance(layer, VariationalLayer):
                layer.temperature = temperature
    return new


def _holds(layer: Any, owners: set[int]) -> bool:
    return any(id(inner) in owners for inner in all_layers(layer))
