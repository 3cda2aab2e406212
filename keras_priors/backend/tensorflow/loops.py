"""TensorFlow: loops in a graph."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def map_draws(function: Callable[[Any], Any], elements: Any) -> Any:
    # A function of its own, so that the structure of its outputs is known before the loop is
    # built and `function` is still traced once only.
    one = tf.function(function, autograph=False).get_concrete_function(
        tf.nest.map_structure(lambda leaf: tf.TensorSpec(leaf.shape[1:], leaf.dtype), elements)
    )
    signature = tf.nest.map_structure(
        lambda leaf: tf.TensorSpec(leaf.shape, leaf.dtype), one.structured_outputs
    )
    return tf.map_fn(one, elements, parallel_iterations=1, fn_output_signature=signature)


def fold(function: Callable[[Any, Any], Any], state: Any, elements: Any) -> Any:
    count = tf.nest.flatten(elements)[0].shape[0]

    def step(k: Any, s: Any) -> tuple[Any, Any]:
        return k + 1, function(s, at(elements, k))

    _, last = tf.while_loop(
        lambda k, _: k < count, step, (tf.constant(0), state), parallel_iterations=1
    )
    return last


def scan(
    function: Callable[[Any, Any], Any], output: Callable[[Any], Any], state: Any, elements: Any
) -> tuple[Any, Any]:
    count = tf.nest.flatten(elements)[0].shape[0]
    first = output(state)
    results = tf.TensorArray(first.dtype, size=count, element_shape=first.shape)

    def step(k: Any, s: Any, results: Any) -> tuple[Any, Any, Any]:
        s = function(s, at(elements, k))
        return k + 1, s, results.write(k, output(s))

    _, last, results = tf.while_loop(
        lambda k, *_: k < count, step, (tf.constant(0), state, results), parallel_iterations=1
    )
    return last, results.stack()


def at(elements: Any, k: Any) -> Any:
    """The `k`-th element."""
    return tf.nest.map_structure(lambda leaf: leaf[k], elements)
