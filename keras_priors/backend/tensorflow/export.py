"""TensorFlow: what a graph of it is exported to."""

import warnings
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from keras_priors.backend.tensorflow.calculus import quiet
from keras_priors.backend.tensorflow.loops import at, map_draws
from keras_priors.backend.tensorflow.onnx_operators import add_onnx_operators


def export_formats() -> tuple[str, ...]:
    return ("tf_saved_model", "onnx", "litert")


def export_model(model: Any, path: str, target: str, signature: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries that trace and convert
        if target == "onnx":
            add_onnx_operators()
        if target != "tf_saved_model":
            model.export(path, format=target, verbose=False, input_signature=[signature])
            if target == "onnx":
                _check_operators(path)
            return
        # `model.export` tracks the model too, and then writes each variable twice.
        archive = keras.export.ExportArchive()
        archive.add_endpoint("serve", model.__call__, input_signature=[signature])
        archive.write_out(path, verbose=False)


def _check_operators(path: str) -> None:
    """Refuses a file with an operator that ONNX has not, which tf2onnx leaves as it is."""
    import onnx

    try:
        onnx.checker.check_model(path)
    except onnx.checker.ValidationError as error:
        raise NotImplementedError(
            "A file of ONNX must have operators of ONNX alone, and the converter of TensorFlow "
            f"knows not all of this model. Received: {str(error).strip().splitlines()[0]} Take "
            'format="tf_saved_model" or "litert", or write ONNX on PyTorch.'
        ) from error


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


def repeat_for_export(count: int, function: Callable[[Any, Any], Any], state: Any) -> Any:
    return keras.ops.fori_loop(0, count, function, state)
