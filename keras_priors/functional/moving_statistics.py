"""Variables that training moves beside the weights: moving means and variances."""

from __future__ import annotations

from typing import Any

import keras

from keras_priors.utils.export import share
from keras_priors.utils.keras_internals import all_layers, own_state


@share
def statistics_of(model: Any) -> list[int]:
    """Numbers, in `model.variables`, of float variables that layers made as no weights."""
    found = {
        id(v)
        for layer in all_layers(model)
        if not isinstance(layer, keras.metrics.Metric)
        for v in own_state(layer)
        if keras.backend.is_float_dtype(v.dtype)
    }
    return [k for k, v in enumerate(model.variables) if id(v) in found]
