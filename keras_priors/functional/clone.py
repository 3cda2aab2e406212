"""A copy of a model in which some layers are others."""

from collections.abc import Callable
from typing import Any

import keras

from keras_priors.functional.carry_vocabulary import carry_vocabulary
from keras_priors.functional.lora import carry_lora
from keras_priors.utils.export import share
from keras_priors.utils.keras_internals import functional_class

Replace = Callable[[Any], Any]
"""From a layer to the layer that takes its place, or None for a plain copy."""


@share
def clone(model: Any, replace: Replace, compiled: bool = True) -> tuple[Any, list[tuple[Any, Any]]]:
    """A copy of a Functional or Sequential model, and the pairs of old and new layers.

    Topology, names, sharing, `trainable`, vocabularies, LoRA and, where `compiled` is true, the
    compile state are kept; weights are not copied.
    """
    pairs: list[tuple[Any, Any]] = []

    def copy(layer: Any) -> Any:
        new = replace(layer) if isinstance(layer, keras.layers.Layer) else None
        if new is None:
            new = type(layer).from_config(layer.get_config())
        if type(new) is type(layer):
            carry_vocabulary(layer, new)
        if isinstance(layer, keras.layers.Layer):
            pairs.append((layer, new))
        return new

    was_compiled = model.compiled
    try:
        model.compiled = was_compiled and compiled
        new = keras.models.clone_model(model, clone_function=copy, recursive=True)
    finally:
        model.compiled = was_compiled
    if not new.built:  # a Sequential model without an input layer
        new.build_from_config(model.get_build_config())
    for old, copied in pairs:
        if type(copied) is type(old):
            carry_lora(old, copied)
    return new, pairs


@share
def is_cloneable(model: Any) -> bool:
    """Whether Keras knows the graph of the model, and can rebuild it with other layers."""
    return isinstance(model, (keras.Sequential, functional_class()))


@share
def own(value: Any) -> Any:
    """A copy of a value that a variable of another model takes.

    On JAX `assign` shares the memory, and a training step of either model would free it for both.
    """
    return keras.ops.copy(value)


@share
def copy_variables(old: Any, new: Any) -> None:
    """Values and trainable flags, one variable after the other: never more than one copy."""
    for source, target in zip(old.variables, new.variables, strict=True):
        target.assign(own(source))
        if source.trainable != target.trainable:
            target.trainable = source.trainable
