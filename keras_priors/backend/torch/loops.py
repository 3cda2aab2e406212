"""PyTorch: loops that carry a state."""

from collections.abc import Callable
from typing import Any

import keras
import torch


def fold(function: Callable[[Any, Any], Any], state: Any, elements: Any) -> Any:
    """`state = function(state, element)` over the leading axis of `elements`; the last state."""
    for k in range(len(keras.tree.flatten(elements)[0])):
        state = function(state, _at(elements, k))
    return state


def scan(
    function: Callable[[Any, Any], Any], output: Callable[[Any], Any], state: Any, elements: Any
) -> tuple[Any, Any]:
    """As `fold`, and `output(state)`, one tensor, after each element, stacked."""
    outputs = []
    for k in range(len(keras.tree.flatten(elements)[0])):
        state = function(state, _at(elements, k))
        outputs.append(output(state))
    return state, torch.stack(outputs)


def _at(elements: Any, k: int) -> Any:
    return keras.tree.map_structure(lambda leaf: leaf[k], elements)
