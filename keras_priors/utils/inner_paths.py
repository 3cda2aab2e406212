"""The names of the weights within a layer."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from keras_priors.utils.keras_internals import inner_layers, own_state, own_weights


def inner_paths(layer: Any) -> dict[int, str]:
    """For each variable of a layer, by id, the names of the layers on the way to it, and its own.

    Not `variable.path`, which has no names of nested models, and loses those of wrappers and
    stacked cells at load.
    """
    paths: dict[int, str] = {}
    seen: Counter[str] = Counter()
    for below, way in descend(layer):
        for variable in (*own_weights(below), *own_state(below)):
            if id(variable) not in paths:
                path = "/".join([*(x.name for x in way), variable.name])
                seen[path] += 1
                # Within a subclassed model or an RNN two layers may have one name.
                paths[id(variable)] = path if seen[path] == 1 else f"{path}#{seen[path]}"
    return paths


def descend(layer: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """The layer and all layers within it, each with the layers on the way down to it."""
    yield layer, way
    for below in inner_layers(layer):
        if not any(below is other for other in way):
            yield from descend(below, (*way, below))
