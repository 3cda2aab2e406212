"""JAX: `jax.jit`."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import jax


def compile_function(function: Callable[..., Any]) -> Callable[..., Any]:
    return jax.jit(function)  # type: ignore[no-any-return]


def untraced() -> AbstractContextManager[Any]:
    return jax.ensure_compile_time_eval()  # type: ignore[no-any-return]


def sync_variables(model: Any) -> None:
    model.jax_state_sync()  # during `fit` Keras keeps the state of its step elsewhere
