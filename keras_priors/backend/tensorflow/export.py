"""TensorFlow: what a graph of it is exported to."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from keras_priors.backend.tensorflow.calculus import quiet
from keras_priors.backend.tensorflow.loops import at, map_draws


def export_formats() -> tuple[str, ...]:
    return ("tf_saved_model", "onnx", "litert")


def map_for_export(function: Callable[[Any], Any], elements: Any, target: str) -> Any:
    def vectorized(each: Any) -> Any:
        return tf.vectorized_map(function, each, fallback_to_while_loop=False)

    try:
        with quiet():
            # A function of its own: what was traced before it failed would stay in the graph.
            specs = tf.nest.map_structure(lambda v: tf.TensorSpec(v.shape, v.dtype), elements)
            whole = tf.function(vectorized, autograph=False)
            return whole.get_concrete_function(specs)(elements)
    except (NotImplementedError, TypeError, ValueError):
        # Convolutions with a kernel for each draw, and loops within loops.
        if target != "litert":
            return map_draws(function, elements)
    # The lists of a loop are no operations of LiteRT's own.
    count = tf.nest.flatten(elements)[0].shape[0]
    parts = [function(at(elements, k)) for k in range(count)]
    return tf.nest.map_structure(lambda *leaves: tf.stack(leaves), *parts)
