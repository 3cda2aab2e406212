"""The plain model at the posterior mean, or at a draw, in the formats of other runtimes."""

import warnings

import keras
import numpy as np
import pytest

import keras_priors as kp

# Keras exports to these; from JAX to ONNX it needs `jax2onnx`, from PyTorch to a SavedModel
# `torch_xla`.
FORMATS = {"tensorflow": ("tf_saved_model", "onnx"), "jax": ("tf_saved_model",), "torch": ("onnx",)}


def models():
    plain = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Flatten(),
            keras.layers.Dense(3),
        ]
    )
    bayesian = kp.to_variational(plain, num_data=10, seed=0)
    bayesian(np.zeros((1, 8, 8, 1), "float32"))
    return {
        "mean": kp.to_deterministic(bayesian),
        "draw": kp.to_deterministic(bayesian, seed=1),
        "pruned": kp.prune(bayesian, fraction=0.5)[0],
    }


def run_saved_model(path, x):
    tf = pytest.importorskip("tensorflow")
    loaded = tf.saved_model.load(str(path))  # held: its variables go with it
    return loaded.serve(x).numpy()


def run_onnx(path, x):
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})[0]


RUN = {"tf_saved_model": run_saved_model, "onnx": run_onnx}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["mean", "draw", "pruned"])
@pytest.mark.parametrize("target", RUN)
def test_export(kind, target, backend, tmp_path):
    if target not in FORMATS[backend]:
        pytest.skip(f"Keras needs another library to export to {target} from {backend}")
    model, path = models()[kind], tmp_path / "model"
    x = np.random.default_rng(0).normal(size=(1, 8, 8, 1)).astype("float32")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries that trace and convert
        model.export(path, format=target, verbose=False)
        outputs = RUN[target](path, x)
    np.testing.assert_allclose(outputs, model.predict(x, verbose=0), atol=1e-5)
