"""The layer that gives a model its noise."""

from __future__ import annotations

from typing import Any

import keras

from keras_priors import likelihoods
from keras_priors.layers.noise_scale import NoiseScale
from keras_priors.utils.keras_internals import functional_graph, maker_of


def noise_layer(model: Any, likelihood: Any) -> NoiseScale | None:
    """The `NoiseScale` at the end of a model, where one number is the scale of a normal; or None.

    Args:
        model: the model.
        likelihood: its likelihood.
    """
    graph = functional_graph(model)
    if graph is None or not isinstance(likelihood, likelihoods.HeteroscedasticNormal):
        return None
    outputs = keras.tree.flatten(graph.outputs)
    layer = maker_of(outputs[0])[0] if len(outputs) == 1 else None
    one = isinstance(layer, NoiseScale) and tuple(layer.scale.shape) == (1,)
    return layer if one else None
