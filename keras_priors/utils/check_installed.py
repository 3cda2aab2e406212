"""Whether the backend is there, said before anything fails for want of it."""

import importlib.util

# By backend, which is the name of an extra too: the modules that the extra brings.
_NEEDED = {
    "tensorflow": ("tensorflow", "tensorflow_probability", "tf_keras"),
    "jax": ("jax", "tensorflow_probability"),
    "torch": ("torch",),
}


def check_installed() -> None:
    """Imports Keras, and refuses to go on without its backend or what we need of one beside it.

    Raises:
        ModuleNotFoundError: a library is missing; the extra that brings it is named.
    """
    try:
        import keras
    except ModuleNotFoundError as error:
        # Keras imports its backend, which no package of Keras brings along.
        name = str(error.name).partition(".")[0]
        if name not in _NEEDED or importlib.util.find_spec(name) is not None:
            raise
        raise _missing(name, name) from error
    backend = keras.config.backend()
    for name in _NEEDED.get(backend, ()):  # others are refused by name, see backend/
        if importlib.util.find_spec(name) is None:
            raise _missing(backend, name)


def _missing(backend: str, name: str) -> ModuleNotFoundError:
    others = [
        other
        for other, modules in _NEEDED.items()
        if other != backend and all(importlib.util.find_spec(module) for module in modules)
    ]
    change = f", or set KERAS_BACKEND={others[0]} before Keras is imported" if others else ""
    return ModuleNotFoundError(
        f"keras_priors needs {' and '.join(_NEEDED[backend])} where Keras runs on {backend}. "
        f'Received: no module named {name}. Install it: pip install "keras-priors[{backend}]"'
        f"{change}.",
        name=name,
    )
