"""Which Keras layers have a variational layer of their own."""

from functools import cache
from typing import Any

from keras_priors import layers
from keras_priors.layers.constructor_arguments import keras_layer_of
from keras_priors.layers.kernel_layer import KernelLayer
from keras_priors.layers.variational_layer import VariationalLayer
from keras_priors.posteriors.posterior import Posterior


@cache
def twins() -> dict[type, type]:
    """From the class of a Keras layer to that of its variational twin."""
    found = {}
    for name in layers.__all__:
        twin = vars(layers)[name]
        plain = plain_class(twin)
        if plain is not None:
            found[plain] = twin
    return found


def plain_class(layer_class: type) -> Any:
    """The Keras layer that a twin stands for, or None."""
    is_twin = issubclass(layer_class, KernelLayer) and layer_class is not KernelLayer
    return keras_layer_of(layer_class) if is_twin else None


def posteriors_of(layer: Any) -> list[Posterior]:
    """The posteriors of a layer; none for one that is not variational."""
    if not isinstance(layer, VariationalLayer):
        return []
    return [penalty.posterior for penalty in layer._kl_penalties]


def posteriors_by_weight(layer: Any) -> dict[str, Posterior]:
    """The posteriors of a built twin by the name of their weight in the Keras layer."""
    return {q.loc.name.removesuffix("_loc"): q for q in posteriors_of(layer)}
