"""TensorFlow: derivatives, vectorization, and sums over blocks of pure functions."""

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from keras_priors.backend.tensorflow.loops import at, map_draws


def value_and_gradient(function: Callable[..., Any]) -> Callable[..., Any]:

    def both(x: Any, *others: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = function(x, *others)
        gradient = tape.gradient(value, x, unconnected_gradients="zero")
        # That of an embedding is sparse, and does not add up in a loop.
        return value, tf.nest.map_structure(tf.convert_to_tensor, gradient)

    return both


def jacobian(function: Callable[..., Any]) -> Callable[..., Any]:

    def matrix(x: Any, *others: Any) -> Any:
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(x)
            values = tf.unstack(function(x, *others))
        rows = [tape.gradient(value, x, unconnected_gradients="zero") for value in values]
        return tf.stack(rows)

    return matrix


def hessian(function: Callable[..., Any]) -> Callable[..., Any]:
    gradient = value_and_gradient(function)

    def matrix(x: Any, *others: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            slope = gradient(x, *others)[1]
        return tape.jacobian(slope, x, unconnected_gradients="zero")

    return matrix


def jacobian_vector_product(function: Callable[..., Any]) -> Callable[..., Any]:

    def product(x: Any, v: Any, *others: Any) -> Any:
        with tf.autodiff.ForwardAccumulator(x, v) as accumulator:
            values = function(x, *others)
        return accumulator.jvp(values, unconnected_gradients="zero")

    return product


def vectorize(function: Callable[..., Any]) -> Callable[..., Any]:

    def over_first(first: Any, *others: Any) -> Any:
        def one(each: Any) -> Any:
            return function(each, *others)

        try:
            with quiet():
                return tf.vectorized_map(one, first)
        except (NotImplementedError, TypeError, ValueError):
            # Loops within loops, as of a recurrent layer over blocks of rows, are more than
            # TensorFlow can vectorize: then one after another. What is wrong by itself is wrong
            # there too.
            return map_draws(one, first)

    return over_first


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Within it TensorFlow does not log each operation that it fails to vectorize."""
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def sum_over(function: Callable[[Any], Any], elements: Any) -> Any:
    count = tf.nest.flatten(elements)[0].shape[0]
    total = function(at(elements, 0))
    if count == 1:
        return total
    _, total = tf.while_loop(
        lambda k, _: k < count,
        lambda k, sums: (k + 1, tf.nest.map_structure(tf.add, sums, function(at(elements, k)))),
        (tf.constant(1), total),
        parallel_iterations=1,
    )
    return total
