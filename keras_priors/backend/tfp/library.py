"""TensorFlow Probability or its JAX substrate, and what the two call by different names."""

import contextlib
import importlib
import importlib.abc
import sys
import threading
from collections.abc import Iterator
from typing import Any

import keras

_SUBSTRATE = "tensorflow_probability.substrates.jax"


def probability() -> Any:
    """The library, for the backend of Keras."""
    # Imported on first use: it takes seconds.
    if _on_tensorflow():
        import tensorflow_probability as tfp

        return tfp
    found = sys.modules.get(_SUBSTRATE)
    if found is None:
        _give_back_moved_name()
        with _without_tensorflow():
            found = importlib.import_module(_SUBSTRATE)
    return found


def linear_algebra() -> Any:
    """The module with the linear operators that the library's distributions take."""
    if _on_tensorflow():
        import tensorflow as tf

        return tf.linalg
    return probability().tf2jax.linalg


def seed_words(seed: Any) -> Any:
    """The two uint32 words of a seed that the library made."""
    if _on_tensorflow():
        import tensorflow as tf

        return tf.bitcast(seed, tf.uint32)
    import jax

    # Raw words are one too; TFP makes typed keys.
    return jax.random.key_data(seed)


def refusals() -> tuple[Any, ...]:
    """The errors about values that are no ValueError; they have a `message`."""
    if _on_tensorflow():
        import tensorflow as tf

        return (tf.errors.InvalidArgumentError,)
    return ()


def _on_tensorflow() -> bool:
    return bool(keras.config.backend() == "tensorflow")


@contextlib.contextmanager
def _without_tensorflow() -> Iterator[None]:
    """The imports of this thread find no TensorFlow, unless it was imported before.

    The substrate needs none, but imports one that is installed: seconds, and its share of the
    memory of a GPU.
    """
    hidden = _NotFound("tensorflow")
    sys.meta_path.insert(0, hidden)
    try:
        yield
    finally:
        sys.meta_path.remove(hidden)


class _NotFound(importlib.abc.MetaPathFinder):
    """A finder by which a package is not installed, for the thread that made it alone."""

    def __init__(self, package: str) -> None:
        self._package = package
        self._thread = threading.get_ident()

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> None:
        if fullname == self._package and threading.get_ident() == self._thread:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)


def _give_back_moved_name() -> None:
    # TFP 0.25 reads `jax.interpreters.xla.pytype_aval_mappings` at import; JAX 0.7 moved it.
    import jax.core
    import jax.interpreters.xla

    if "pytype_aval_mappings" not in dir(jax.interpreters.xla):
        jax.interpreters.xla.pytype_aval_mappings = jax.core.pytype_aval_mappings
