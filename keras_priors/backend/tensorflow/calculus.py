"""TensorFlow: derivatives, vectorization, sums over blocks and minimization of pure functions."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from keras_priors.backend.tensorflow.distributions import map_draws


def value_and_gradient(function: Callable[..., Any]) -> Callable[..., Any]:
    """From f(x, *others), a scalar, to (f, df/dx); x may be a structure of tensors."""

    def both(x: Any, *others: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = function(x, *others)
        gradient = tape.gradient(value, x, unconnected_gradients="zero")
        # That of an embedding is sparse, and does not add up in a loop.
        return value, tf.nest.map_structure(tf.convert_to_tensor, gradient)

    return both


def jacobian(function: Callable[..., Any]) -> Callable[..., Any]:
    """From f(x, *others), a vector (K,), to df/dx (K, D) for x (D,)."""

    def matrix(x: Any, *others: Any) -> Any:
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(x)
            values = tf.unstack(function(x, *others))
        rows = [tape.gradient(value, x, unconnected_gradients="zero") for value in values]
        return tf.stack(rows)

    return matrix


def hessian(function: Callable[..., Any]) -> Callable[..., Any]:
    """From f(x, *others), a scalar, to d2f/dx2 (D, D) for x (D,)."""
    gradient = value_and_gradient(function)

    def matrix(x: Any, *others: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            slope = gradient(x, *others)[1]
        return tape.jacobian(slope, x, unconnected_gradients="zero")

    return matrix


def jacobian_vector_product(function: Callable[..., Any]) -> Callable[..., Any]:
    """From f(x, *others) to df/dx v, a function of (x, v, *others)."""

    def product(x: Any, v: Any, *others: Any) -> Any:
        with tf.autodiff.ForwardAccumulator(x, v) as accumulator:
            values = function(x, *others)
        return accumulator.jvp(values, unconnected_gradients="zero")

    return product


def vectorize(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` over the leading axis of its first argument; the others are shared."""

    def over_first(first: Any, *others: Any) -> Any:
        def one(each: Any) -> Any:
            return function(each, *others)

        try:
            return tf.vectorized_map(one, first)
        except (NotImplementedError, TypeError, ValueError):
            # Loops within loops, as of a recurrent layer over blocks of rows, are more than
            # TensorFlow can vectorize: then one after another. What is wrong by itself is wrong
            # there too.
            return map_draws(one, first)

    return over_first


def sum_over(function: Callable[[Any], Any], elements: Any) -> Any:
    """The sum of `function(element)` over the leading axis of `elements`, one at a time."""
    count = tf.nest.flatten(elements)[0].shape[0]

    def at(k: Any) -> Any:
        return tf.nest.map_structure(lambda leaf: leaf[k], elements)

    total = function(at(0))
    if count == 1:
        return total
    _, total = tf.while_loop(
        lambda k, _: k < count,
        lambda k, sums: (k + 1, tf.nest.map_structure(tf.add, sums, function(at(k)))),
        (tf.constant(1), total),
        parallel_iterations=1,
    )
    return total


def minimize(
    value_and_gradient: Callable[[Any], Any], start: Any, iterations: int, tolerance: float
) -> tuple[Any, Any, Any]:
    """L-BFGS: (position, value, converged) from a pure function to (value, gradient)."""
    from keras_priors.backend.tensorflow.distributions import _probability

    found = _probability().optimizer.lbfgs_minimize(
        value_and_gradient,
        initial_position=start,
        num_correction_pairs=20,
        tolerance=tolerance,
        max_iterations=iterations,
        max_line_search_iterations=50,
    )
    return found.position, found.objective_value, found.converged
