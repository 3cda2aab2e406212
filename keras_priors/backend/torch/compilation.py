"""PyTorch: nothing is compiled, it runs eagerly."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch


def compile_function(function: Callable[..., Any]) -> Callable[..., Any]:
    def without_gradients(*args: Any) -> Any:
        with torch.no_grad():
            return function(*args)

    return without_gradients


def is_traced() -> bool:
    return False


def untraced() -> AbstractContextManager[Any]:
    return nullcontext()


def sync_variables(model: Any) -> None:
    pass  # Keras trains them themselves
