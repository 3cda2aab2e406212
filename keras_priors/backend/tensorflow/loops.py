"""TensorFlow: loops in a graph that carry a state."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def fold(function: Callable[[Any, Any], Any], state: Any, elements: Any) -> Any:
    """`state = function(state, element)` over the leading axis of `elements`; the last state."""
    count = tf.nest.flatten(elements)[0].shape[0]

    def step(k: Any, s: Any) -> tuple[Any, Any]:
        return k + 1, function(s, _at(elements, k))

    _, last = tf.while_loop(
        lambda k, _: k < count, step, (tf.constant(0), state), parallel_iterations=1
    )
    return last


def scan(
    function: Callable[[Any, Any], Any], output: Callable[[Any], Any], state: Any, elements: Any
) -> tuple[Any, Any]:
    """As `fold`, and `output(state)`, one tensor, after each element, stacked."""
    count = tf.nest.flatten(elements)[0].shape[0]
    first = output(state)
    results = tf.TensorArray(first.dtype, size=count, element_shape=first.shape)

    def step(k: Any, s: Any, results: Any) -> tuple[Any, Any, Any]:
        s = function(s, _at(elements, k))
        return k + 1, s, results.write(k, output(s))

    _, last, results = tf.while_loop(
        lambda k, *_: k < count, step, (tf.constant(0), state, results), parallel_iterations=1
    )
    return last, results.stack()


def _at(elements: Any, k: Any) -> Any:
    return tf.nest.map_structure(lambda leaf: leaf[k], elements)
