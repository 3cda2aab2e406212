"""PyTorch: loops in Python."""

from collections.abc import Callable
from typing import Any

import keras
import torch


def map_draws(function: Callable[[Any], Any], elements: Any) -> Any:
    parts = [function(at(elements, k)) for k in range(len(keras.tree.flatten(elements)[0]))]
    return keras.tree.map_structure(lambda *leaves: torch.stack(leaves), *parts)


def fold(function: Callable[[Any, Any], Any], state: Any, elements: Any) -> Any:
    for k in range(len(keras.tree.flatten(elements)[0])):
        state = function(state, at(elements, k))
    return state


def scan(
    function: Callable[[Any, Any], Any], output: Callable[[Any], Any], state: Any, elements: Any
) -> tuple[Any, Any]:
    outputs = []
    for k in range(len(keras.tree.flatten(elements)[0])):
        state = function(state, at(elements, k))
        outputs.append(output(state))
    return state, torch.stack(outputs)


def at(elements: Any, k: int) -> Any:
    """The `k`-th element."""
    return keras.tree.map_structure(lambda leaf: leaf[k], elements)
