"""A metric of the mean that a likelihood makes of outputs."""

import keras
import numpy as np
import pytest

import keras_priors as kp
from keras_priors import likelihoods as p

RNG = np.random.default_rng(0)
Y = RNG.normal(size=(10, 1)).astype("float32")
OUTPUTS = RNG.normal(size=(10, 2)).astype("float32")
WEIGHT = RNG.uniform(size=10).astype("float32")


def value_of(metric, *batches):
    for batch in batches:
        metric.update_state(*batch)
    return float(metric.result())


def test_the_scale_is_no_prediction():
    metric = kp.metrics.LikelihoodMean(p.HeteroscedasticNormal(), "mae")
    errors = np.abs(Y - OUTPUTS[:, :1])
    parts = [(Y[:7], OUTPUTS[:7]), (Y[7:], OUTPUTS[7:])]
    np.testing.assert_allclose(value_of(metric, *parts), errors.mean(), rtol=1e-6)
    metric.reset_state()
    weighted = np.average(errors[:, 0], weights=WEIGHT)
    np.testing.assert_allclose(value_of(metric, (Y, OUTPUTS, WEIGHT)), weighted, rtol=1e-5)
    metric.reset_state()  # targets without the last axis
    np.testing.assert_allclose(value_of(metric, (Y[:, 0], OUTPUTS)), errors.mean(), rtol=1e-6)


@pytest.mark.parametrize(
    ("likelihood", "metric", "y", "outputs", "expected"),
    [
        (p.Poisson(), "mse", [[2.0]], [[np.log(5.0)]], 9.0),
        (p.Bernoulli(), keras.metrics.BinaryAccuracy(), [[1], [0]], [[0.1], [0.2]], 0.5),
        (p.Categorical(), "sparse_categorical_accuracy", [2, 0], np.eye(3)[[2, 1]], 0.5),
        (p.Normal(1.0), keras.metrics.RootMeanSquaredError(), [[1.0]], [[4.0]], 3.0),
    ],
)
def test_of_every_kind(likelihood, metric, y, outputs, expected):
    metric = kp.metrics.LikelihoodMean(likelihood, metric)
    outputs = np.asarray(outputs, "float32")
    np.testing.assert_allclose(value_of(metric, (np.array(y), outputs)), expected, rtol=1e-5)


def test_it_is_saved_with_the_model_and_masks_count(tmp_path):
    x = np.array([[[1.0], [2.0], [0.0]], [[3.0], [0.0], [0.0]]], "float32")
    model = keras.Sequential(
        [keras.Input((3, 1)), keras.layers.Masking(), keras.layers.Dense(2, use_bias=False)]
    )
    model.layers[-1].kernel.assign([[1.0, -7.0]])
    likelihood = p.HeteroscedasticNormal()
    model.compile("sgd", likelihood, metrics=[kp.metrics.LikelihoodMean(likelihood, "mae")])
    path = str(tmp_path / "m.keras")
    model.save(path)
    for one in (model, keras.models.load_model(path)):
        logs = one.evaluate(x, np.zeros((2, 3, 1), "float32"), verbose=0, return_dict=True)
        (name,) = set(logs) - {"loss"}
        np.testing.assert_allclose(logs[name], 2.0, rtol=1e-6)  # of 1, 2 and 3


def test_something_else_is_refused():
    with pytest.raises(TypeError, match="must be a likelihood"):
        kp.metrics.LikelihoodMean("mse")
