"""A copy of a layer or model whose graph Keras does not know."""

import inspect
from typing import Any

import keras

from keras_priors.functional.carry_vocabulary import carry_vocabulary
from keras_priors.functional.lora import carry_lora
from keras_priors.utils.export import share
from keras_priors.utils.keras_internals import all_layers

WAY_OUT = (
    "Keras makes a copy, and a saved model, of the config; by itself it keeps no argument of a "
    "subclassed model but the defaults. Let `__init__` take `**kwargs` for `super().__init__` and "
    "make all layers there, and let `get_config` return what `__init__` was given: "
    '`return {**super().get_config(), "units": self.units}`.'
)
# Names and seeds are given afresh, and the flag is copied.
_IGNORED = ("name", "seed", "trainable")


@share
def copy_of(verb: str, layer: Any, config: dict[str, Any] | None = None) -> Any:
    """A built copy, with weights of its own; of `config` where one is given.

    Raises:
        ValueError: Keras cannot make it, or makes another model than this one.
    """
    custom = {type(x).__name__: type(x) for x in all_layers(layer) if not _is_of_keras(x)}
    try:
        copy = keras.saving.deserialize_keras_object(
            keras.saving.serialize_keras_object(layer) if config is None else config,
            custom_objects={
                k: v for k, v in custom.items() if not v.__module__.startswith("keras")
            },
            safe_mode=False,
        )
        if not copy.built:
            copy.build_from_config(layer.get_build_config())
        carry_lora(layer, copy)
    except Exception as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else ""
        raise ValueError(
            f"`{verb}` needs a copy of {layer.name} ({type(layer).__name__}), and Keras cannot "
            f"make one of its config: {type(error).__name__}: {first} {WAY_OUT}"
        ) from error
    lost = _difference(layer, copy)
    if lost:
        raise ValueError(
            f"`{verb}` needs a copy of {layer.name} ({type(layer).__name__}), and what Keras "
            f"makes of its config is another model. Received: {lost}. {WAY_OUT}"
        )
    for old, new in zip(all_layers(layer), all_layers(copy), strict=True):
        carry_vocabulary(old, new)
    return copy


def _difference(layer: Any, copy: Any) -> str | None:
    """The first thing in which two layers are not alike, or None."""
    before, after = all_layers(layer), all_layers(copy)
    if len(before) != len(after):
        return f"{len(before)} layers, and {len(after)} in the copy"
    for old, new in zip(before, after, strict=True):
        if type(old) is not type(new):
            return f"{old.name}, a {type(old).__name__}, which is a {type(new).__name__} there"
        for key, value in _numbers(old).items():
            other = _numbers(new).get(key, value)
            if value != other:
                return f"{key}={value!r} of {old.name}, which is {other!r} there"
    shapes = [[tuple(v.shape) for v in x.variables] for x in (layer, copy)]
    if shapes[0] != shapes[1]:
        return f"weights of shapes {shapes[0]}, which have {shapes[1]} there"
    return None


def _numbers(layer: Any) -> dict[str, Any]:
    """Numbers and words among the arguments of a layer, as far as it keeps them."""
    if _is_of_keras(layer):
        given = layer.get_config()
    else:
        names = inspect.signature(type(layer).__init__).parameters
        given = {k: v for k, v in vars(layer).items() if k in names}
    return {
        key: value
        for key, value in given.items()
        if key not in _IGNORED and isinstance(value, (bool, int, float, str))
    }


def _is_of_keras(layer: Any) -> bool:
    return type(layer).__module__.startswith("keras.")
