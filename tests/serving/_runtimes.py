"""Files of each format, run by their own runtimes."""

import warnings

import numpy as np
import pytest

SUFFIXES = {"tf_saved_model": "", "onnx": ".onnx", "litert": ".tflite", "torch": ".pt2"}
WRITTEN = {
    "tensorflow": ("tf_saved_model", "onnx", "litert"),
    "jax": ("tf_saved_model",),
    "torch": ("onnx", "torch"),
}


def load(path, target):
    """From the path of a file to a function of inputs in order, whose outputs go by name."""
    return _LOAD[target](str(path))


def _saved_model(path):
    tf = pytest.importorskip("tensorflow")
    loaded = tf.saved_model.load(path)
    # What TF Serving calls; held, because its variables go with it.
    served = loaded.signatures["serving_default"]
    # Their order is another in each process.
    names = sorted(served.structured_input_signature[1])

    def run(*inputs):
        given = dict(zip(names, map(tf.constant, inputs), strict=True))
        return {name: value.numpy() for name, value in served(**given).items()}

    run.held = loaded
    return run


def _onnx(path):
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    given = [each.name for each in session.get_inputs()]
    names = [each.name for each in session.get_outputs()]

    def run(*inputs):
        found = session.run(None, dict(zip(given, inputs, strict=True)))
        return dict(zip(names, found, strict=True))

    return run


def _litert(path):
    tf = pytest.importorskip("tensorflow")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is to become a package of its own
        interpreter = tf.lite.Interpreter(path)
    runner = interpreter.get_signature_runner("serving_default")
    names = sorted(runner.get_input_details())

    def run(*inputs):
        return runner(**dict(zip(names, inputs, strict=True)))

    run.held = interpreter
    return run


def _torch(path):
    torch = pytest.importorskip("torch")
    module = torch.export.load(path).module()

    def run(*inputs):
        found = module(*(torch.from_numpy(x) for x in inputs))
        return {name: np.asarray(value) for name, value in found.items()}

    return run


_LOAD = {"tf_saved_model": _saved_model, "onnx": _onnx, "litert": _litert, "torch": _torch}
