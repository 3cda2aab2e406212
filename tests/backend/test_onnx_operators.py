"""Operators that tf2onnx is told of, in a runtime of ONNX."""

import keras
import numpy as np
import pytest

import keras_priors as kp

if keras.backend.backend() != "tensorflow":
    pytest.skip("TensorFlow's", allow_module_level=True)

tf = pytest.importorskip("tensorflow")
tf2onnx = pytest.importorskip("tf2onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from keras_priors.backend.tensorflow.onnx_operators import add_onnx_operators  # noqa: E402


def test_they_have_all_digits_near_0_and_at_the_ends():
    add_onnx_operators()
    function = tf.function(lambda x: (tf.math.log1p(x), tf.math.expm1(x)))
    signature = [tf.TensorSpec((None,), tf.float32, name="x")]
    model, _ = tf2onnx.convert.from_function(function, signature, opset=15)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    small = 10.0 ** np.arange(-12, 2)
    x = np.concatenate([small, -small[:-2], [0.0, -0.999, -1.0, 1e8, 80.0, -80.0, np.inf, -np.inf]])
    x = x.astype("float32")
    log, exp = session.run(None, {"x": x})
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(log, np.log1p(x.astype("float64")), rtol=5e-7)
        expected = np.expm1(x.astype("float64")).astype("float32")
    np.testing.assert_allclose(exp, expected, rtol=5e-7)


def test_a_file_that_no_runtime_reads_is_refused(tmp_path):
    layers = [keras.Input((2,)), keras.layers.Dense(1, activation=keras.ops.erfinv)]
    model = keras.Sequential(layers)
    path = tmp_path / "served.onnx"
    with pytest.raises(NotImplementedError, match=r"operators of ONNX alone(.|\n)*Erfinv"):
        kp.export_predictive(
            model, path, 2, "onnx", likelihood=kp.likelihoods.Normal(1.0), quantiles=()
        )
    assert not path.exists()
