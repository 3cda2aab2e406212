"""JAX: compiled loops."""

from collections.abc import Callable
from typing import Any

import jax


def map_draws(function: Callable[[Any], Any], elements: Any) -> Any:
    return jax.lax.map(function, elements)


def fold(function: Callable[[Any, Any], Any], state: Any, elements: Any) -> Any:
    return jax.lax.scan(lambda s, element: (function(s, element), None), state, elements)[0]


def scan(
    function: Callable[[Any, Any], Any], output: Callable[[Any], Any], state: Any, elements: Any
) -> tuple[Any, Any]:

    def step(s: Any, element: Any) -> tuple[Any, Any]:
        s = function(s, element)
        return s, output(s)

    last, outputs = jax.lax.scan(step, state, elements)
    return last, outputs
