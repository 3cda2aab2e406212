"""JAX: what a program of it is exported to."""

import warnings
from collections.abc import Callable
from typing import Any

import jax
import keras


def export_formats() -> tuple[str, ...]:
    return ("tf_saved_model",)


def export_model(model: Any, path: str, target: str, signature: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries that trace and convert
        model.export(path, format=target, verbose=False, input_signature=[signature])


def map_for_export(function: Callable[[Any], Any], elements: Any, target: str) -> Any:
    del target
    return jax.vmap(function)(elements)


def repeat_for_export(count: int, function: Callable[[Any, Any], Any], state: Any) -> Any:
    return keras.ops.fori_loop(0, count, function, state)
