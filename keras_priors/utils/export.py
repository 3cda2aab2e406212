"""The decorator under which every public class is saved and loaded by Keras."""

from collections.abc import Callable
from typing import TypeVar

import keras

_Class = TypeVar("_Class", bound=type)

_decorate: Callable[[type], type] = keras.saving.register_keras_serializable(package="keras_priors")


def register(cls: _Class) -> _Class:
    """Registers a class with Keras as `keras_priors>ClassName` and returns it unchanged.

    An unregistered class that is named like one of Keras' own is replaced by that one at load,
    without a word; a registered one is found by its package.

    Args:
        cls: The class to register.

    Returns:
        `cls` itself.
    """
    _decorate(cls)
    return cls
