"""JAX: compiled loops that carry a state."""

from collections.abc import Callable
from typing import Any

import jax


def fold(function: Callable[[Any, Any], Any], state: Any, elements: Any) -> Any:
    """`state = function(state, element)` over the leading axis of `elements`; the last state."""
    return jax.lax.scan(lambda s, element: (function(s, element), None), state, elements)[0]


def scan(
    function: Callable[[Any, Any], Any], output: Callable[[Any], Any], state: Any, elements: Any
) -> tuple[Any, Any]:
    """As `fold`, and `output(state)`, one tensor, after each element, stacked."""

    def step(s: Any, element: Any) -> tuple[Any, Any]:
        s = function(s, element)
        return s, output(s)

    last, outputs = jax.lax.scan(step, state, elements)
    return last, outputs
