"""The decorators by which a class or function is public, shared within the package, or saved."""

from collections.abc import Callable
from typing import TypeVar

import keras

_Class = TypeVar("_Class", bound=type)
_Named = TypeVar("_Named")


def _decorate(named: type) -> None:
    # Where two rooms have a class of one name, one of them says under what it is registered.
    package = vars(named).get("_registered_in", "keras_priors")
    keras.saving.register_keras_serializable(package=package)(named)


def export(*doors: str) -> Callable[[_Named], _Named]:
    """Makes a class or function public: in its own folder's `__init__`, and in those of `doors`.

    A class that has a config is registered for saving too. `tools/write_doors.py` reads the
    decorators and writes the `__init__` files, so that a public name is written once.

    Args:
        *doors: names of packages beside its own, such as "keras_priors".
    """

    def mark(named: _Named) -> _Named:
        if isinstance(named, type) and callable(getattr(named, "get_config", None)):
            _decorate(named)
        return named

    return mark


def share(named: _Named) -> _Named:
    """Puts a class or function into its own folder's `__init__`, for the rooms above.

    It is not in `__all__`: users are promised nothing.
    """
    return named


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
