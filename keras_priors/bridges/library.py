"""Optional libraries, imported where they are used."""

from __future__ import annotations

import importlib
import warnings
from typing import Any

import keras


def library(name: str, backends: tuple[str, ...] = ("tensorflow", "jax", "torch")) -> Any:
    """The module; an error that names the extra, or the backends on which the bridge stands.

    Args:
        name: its name, which is that of the bridge and of the extra too.
        backends: those that it can be used on.
    """
    running = keras.config.backend()
    if running not in backends:
        raise NotImplementedError(
            f"keras_priors.bridges.{name} needs the backend {' or '.join(backends)}: functions of "
            f"another cannot be traced by {name}. Received: the backend {running!r}. Set "
            f'KERAS_BACKEND="{backends[0]}" before keras is imported.'
        )
    try:
        with warnings.catch_warnings():
            # ArviZ, which PyMC imports, announces its next version at import.
            warnings.simplefilter("ignore", FutureWarning)
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise ModuleNotFoundError(
            f"keras_priors.bridges.{name} is a way into {name}. Received: no module named {name}. "
            f'Install it: pip install "keras-priors[{name}]".',
            name=name,
        ) from error
