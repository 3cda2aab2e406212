"""A model as `load_model` would make it, without weights."""

import gc
import random
import warnings
from collections.abc import Callable
from typing import Any

import keras

from keras_priors.utils.keras_internals import all_layers

Visit = Callable[[str, Any, tuple[str, ...], dict[Any, Any]], Any]
"""Called with each key of a config, at any depth, its value, the classes that it is within, the
innermost last, and the config; gives the value to put there."""

_MANY = 10_000_000
_ZEROS: dict[str, Any] = {
    "module": "keras.initializers",
    "class_name": "Zeros",
    "config": {},
    "registered_name": None,
}


def rebuild(model: keras.Model, visit: Visit | None = None) -> Any:
    """The model that its config describes, built, with zeros for weights and not compiled.

    Nobody else can say what a config keeps: what was handed to a constructor, and what the
    constructor does with it, shows in the variables that are made. Memory: one copy of the
    weights, until it is dropped.

    Args:
        model: a built model.
        visit: changes the config before the model is made of it.

    Raises:
        ValueError: Keras cannot make the model of its config.
    """

    def change(key: str, value: Any, inside: tuple[str, ...], of: dict[Any, Any]) -> Any:
        if key == "compile_config":
            return None
        if key.endswith("_initializer") and value is not None:
            return _ZEROS
        return value if visit is None else visit(key, value, inside, of)

    custom = {type(layer).__name__: type(layer) for layer in all_layers(model)}
    state = random.getstate()
    if model.count_params() > _MANY:
        # Models hold themselves in circles: one that was made here before is still in memory.
        gc.collect()
    try:
        with warnings.catch_warnings():
            # Of lambdas, and of models that cannot be built by themselves; both are told by us.
            warnings.simplefilter("ignore")
            return keras.saving.deserialize_keras_object(
                _walk(keras.saving.serialize_keras_object(model), change),
                custom_objects={k: v for k, v in custom.items() if _is_foreign(v)},
                safe_mode=False,
            )
    except Exception as error:
        raise ValueError(
            "`set_priors` sets a prior only where `model.save` keeps it, and Keras cannot make "
            f"{model.name} ({type(model).__name__}) of its config: "
            f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''} "
            "Mend its `get_config` and `from_config`; register custom classes and functions by "
            "`keras.saving.register_keras_serializable`, or call `set_priors` within "
            "`keras.saving.custom_object_scope`. To train with priors that are not saved, and are "
            "to be set again after each load: `set_priors(model, rules, saved=False)`."
        ) from error
    finally:
        # Layers without a seed draw one here: what the user makes next must not depend on it.
        random.setstate(state)


def _is_foreign(cls: type) -> bool:
    return not cls.__module__.startswith("keras.")


def _walk(node: Any, change: Visit, inside: tuple[str, ...] = ()) -> Any:
    if isinstance(node, dict):
        if isinstance(node.get("class_name"), str) and "config" in node:
            inside = (*inside, node["class_name"])
        walked = {}
        for key, value in node.items():
            put = change(key, value, inside, node) if isinstance(key, str) else value
            walked[key] = put if put is not value else _walk(value, change, inside)
        return walked
    if isinstance(node, (list, tuple)):
        return type(node)(_walk(item, change, inside) for item in node)
    return node
