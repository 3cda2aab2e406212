"""Where a model keeps its priors and its variational layers."""

from collections.abc import Iterator
from typing import Any

import keras

from keras_priors.layers.kl_penalty import KLPenalty
from keras_priors.layers.variational_layer import VariationalLayer
from keras_priors.priors.prior import Prior
from keras_priors.utils.export import share
from keras_priors.utils.keras_internals import all_layers


@share
def find_owners(model: Any) -> list[Any]:
    """Every object with a `num_data` in a model: its variational layers and its priors.

    Each is listed once, however many weights it serves. A prior is looked for where Keras has it
    in mind: on variables (`variable.regularizer`, also that of an inner layer of a wrapper, an RNN
    cell or an attention layer) and on the attributes of layers, which are what is saved and,
    before a layer is built, all there is.
    """
    found: dict[int, Any] = {}
    for layer in all_layers(model):
        if isinstance(layer, VariationalLayer):
            found[id(layer)] = layer
        for value in list(vars(layer).values()):
            for prior in _priors_in(value):
                found[id(prior)] = prior
    for variable in model.variables:
        for prior in _priors_in(variable.regularizer):
            found[id(prior)] = prior
    return list(found.values())


@share
def all_models(model: Any) -> list[keras.Model]:
    """The model and every model nested in it."""
    return [layer for layer in all_layers(model) if isinstance(layer, keras.Model)]


def _priors_in(value: Any, depth: int = 3) -> Iterator[Prior]:
    if isinstance(value, Prior):
        yield value
    elif depth and isinstance(value, dict):
        for item in list(value.values()):
            yield from _priors_in(item, depth - 1)
    elif depth and isinstance(value, (list, tuple)):
        for item in list(value):
            yield from _priors_in(item, depth - 1)
    elif isinstance(value, KLPenalty):
        yield value.prior
