"""Metrics of `compile`: for any batch size what the functions say of all rows."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_priors as kp
from keras_priors import likelihoods
from keras_priors import metrics as m

RNG = np.random.default_rng(7)
N = 28
LOGITS = (2 * RNG.normal(size=(N, 4))).astype("float32")
P = np.exp(LOGITS.astype("float64"))
P /= P.sum(axis=1, keepdims=True)
LABELS = np.array([RNG.choice(4, p=p) for p in P])
MARKS = (RNG.random(N) > 0.6).astype("int32")
OUTPUTS = RNG.normal(size=(N, 2)).astype("float32")
Y = RNG.normal(size=(N, 1)).astype("float32")
W = (RNG.uniform(size=N) * (RNG.random(N) > 0.2)).astype("float32")

CLOSE = {"rtol": 2e-5, "atol": 2e-6}

CATEGORICAL = likelihoods.Categorical()
NORMAL = likelihoods.HeteroscedasticNormal()
MEAN = OUTPUTS[:, :1].astype("float64")
SCALE = np.log1p(np.exp(OUTPUTS[:, 1:].astype("float64"))) + 1e-6
ONE = kp.Predictive(OUTPUTS[None], NORMAL)


def of_classes(metric, **kwargs):
    return lambda w: metric(LABELS, P, sample_weight=w, **kwargs)


def of_numbers(metric, *args):
    return lambda w: metric(Y, *args, sample_weight=w)


CASES = {
    "nll": (
        m.NegativeLogPredictiveDensity(CATEGORICAL),
        of_classes(m.negative_log_predictive_density),
    ),
    "nll_numbers": (
        m.NegativeLogPredictiveDensity(NORMAL),
        of_numbers(m.negative_log_predictive_density, ONE),
    ),
    "brier": (m.BrierScore(CATEGORICAL), of_classes(m.brier_score)),
    **{
        part: (m.BrierScore(CATEGORICAL, part, 7), of_classes(m.brier_score, part=part, n_bins=7))
        for part in ("reliability", "resolution", "uncertainty")
    },
    "ece": (
        m.ExpectedCalibrationError(CATEGORICAL, 7),
        of_classes(m.expected_calibration_error, n_bins=7),
    ),
    "one_bin": (
        m.ExpectedCalibrationError(CATEGORICAL, 1),
        of_classes(m.expected_calibration_error, n_bins=1),
    ),
    "mce": (m.MaximumCalibrationError(CATEGORICAL), of_classes(m.maximum_calibration_error)),
    "cce": (m.ClasswiseCalibrationError(CATEGORICAL), of_classes(m.classwise_calibration_error)),
    "ace": (
        m.AdaptiveCalibrationError(CATEGORICAL, 5, 90),
        of_classes(m.adaptive_calibration_error, n_bins=5, num_thresholds=90),
    ),
    "auroc": (m.AUROC(CATEGORICAL, num_thresholds=90), of_classes(m.auroc, num_thresholds=90)),
    "auroc_of_y": (
        m.AUROC(CATEGORICAL, "entropy", "y", 90),
        lambda w: m.auroc(
            MARKS,
            kp.Predictive(LOGITS[None], CATEGORICAL),
            score="entropy",
            of="y",
            num_thresholds=90,
            sample_weight=w,
        ),
    ),
    "aupr": (
        m.AUPR(CATEGORICAL, "entropy", num_thresholds=90),
        of_classes(m.aupr, score="entropy", num_thresholds=90),
    ),
    "aurc": (
        m.AreaUnderRiskCoverage(CATEGORICAL),
        of_classes(m.area_under_risk_coverage, num_thresholds=200),
    ),
    "aac": (
        m.AccuracyAtCoverage(CATEGORICAL, 0.7),
        lambda w: m.accuracy_at_coverage(LABELS, P, 0.7, num_thresholds=200, sample_weight=w),
    ),
    "crps": (m.CRPS(NORMAL), of_numbers(m.crps_normal, MEAN, SCALE)),
    "interval_score": (m.IntervalScore(NORMAL, 0.8), of_numbers(m.interval_score, ONE, 0.8)),
    "coverage": (m.IntervalCoverage(NORMAL, 0.8), of_numbers(m.interval_coverage, ONE, 0.8)),
    "width": (m.IntervalWidth(NORMAL, 0.8), lambda w: m.interval_width(ONE, 0.8, sample_weight=w)),
    "sharpness": (m.Sharpness(NORMAL), lambda w: m.sharpness(ONE, sample_weight=w)),
    "pinball": (m.PinballLoss(NORMAL, 0.2), of_numbers(m.pinball_loss, ONE, 0.2)),
    "qce": (m.QuantileCalibrationError(NORMAL), of_numbers(m.quantile_calibration_error, ONE)),
}


def data_of(metric):
    if metric.likelihood is NORMAL:
        return Y, OUTPUTS
    return (MARKS if getattr(metric, "of", "") == "y" else LABELS), LOGITS


def streamed(metric, y, outputs, weights, size):
    metric.reset_state()
    for start in range(0, N, size):
        rows = slice(start, start + size)
        metric.update_state(y[rows], outputs[rows], None if weights is None else weights[rows])
    return float(metric.result())


@pytest.mark.parametrize("case", CASES)
def test_any_batch_size_gives_what_the_function_says(case):
    metric, function = CASES[case]
    y, outputs = data_of(metric)
    np.testing.assert_allclose(streamed(metric, y, outputs, W, 7), function(W), **CLOSE)
    np.testing.assert_allclose(streamed(metric, y, outputs, W, N), function(W), **CLOSE)


@pytest.mark.parametrize("case", CASES)
def test_config(case):
    metric, _ = CASES[case]
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(metric))
    assert type(again) is type(metric)
    y, outputs = data_of(metric)
    assert streamed(again, y, outputs, W, N) == streamed(metric, y, outputs, W, N)


def one_layer(outputs, likelihood, names, tmp_path):
    """`evaluate` of a net that gives its inputs, and of the same saved and loaded."""
    size = outputs.shape[-1]
    layer = keras.layers.Dense(size, use_bias=False, kernel_initializer="identity")
    model = keras.Sequential([keras.Input((size,)), layer])
    metrics = [type(m).from_config(m.get_config()) for m in (CASES[name][0] for name in names)]
    for name, metric in zip(names, metrics, strict=True):
        metric.name = name
    model.compile("sgd", likelihood, metrics=metrics)
    path = str(tmp_path / "m.keras")
    model.save(path)
    return model, keras.models.load_model(path)


@pytest.mark.parametrize("likelihood", [CATEGORICAL, NORMAL], ids=["classes", "numbers"])
def test_evaluate_and_fit_and_a_saved_model(likelihood, tmp_path):
    names = [n for n, (each, _) in CASES.items() if each.likelihood is likelihood]
    names.remove("auroc_of_y") if likelihood is CATEGORICAL else None
    y, outputs = (LABELS, LOGITS) if likelihood is CATEGORICAL else (Y, OUTPUTS)
    models = one_layer(outputs, likelihood, names, tmp_path)
    # Of 9 the last batch is smaller, and TensorFlow then compiles for rows of no known number.
    for model, size in ((models[0], 14), (models[0], 9), (models[1], 1)):
        logs = model.evaluate(outputs, y, batch_size=size, verbose=0, return_dict=True)
        for name in names:
            np.testing.assert_allclose(logs[name], CASES[name][1](None), **CLOSE)
    model.compile("sgd", likelihood, weighted_metrics=[CASES["nll" if y is LABELS else "crps"][0]])
    for _ in range(2):  # begun anew each time
        logs = model.evaluate(outputs, y, sample_weight=W, verbose=0, return_dict=True)
    (name,) = set(logs) - {"loss"}
    expected = CASES["nll" if y is LABELS else "crps"][1](W)
    np.testing.assert_allclose(logs[name], expected, rtol=2e-5)
    history = model.fit(outputs, y, epochs=2, validation_data=(outputs, y), verbose=0).history
    assert np.all(np.isfinite(history[f"val_{name}"])) and len(history[name]) == 2


def test_two_classes_several_labels_and_steps():
    logits = RNG.normal(size=(10, 3, 2)).astype("float32")
    y = RNG.integers(0, 2, (10, 3, 2))
    predictive = kp.Predictive(logits[None], likelihoods.Bernoulli())
    weights = RNG.uniform(size=10).astype("float32")
    metric = m.BrierScore(likelihoods.Bernoulli())
    metric.update_state(y, logits, weights)
    expected = m.brier_score(y, predictive, sample_weight=weights)
    np.testing.assert_allclose(float(metric.result()), expected, rtol=1e-5)
    one_hot = np.eye(4)[LABELS]
    metric = m.BrierScore(CATEGORICAL)
    metric.update_state(one_hot, LOGITS)
    np.testing.assert_allclose(float(metric.result()), m.brier_score(LABELS, P), rtol=1e-5)


@pytest.mark.parametrize(
    ("likelihood", "shape"),
    [(likelihoods.Bernoulli(), (2,)), (likelihoods.Bernoulli(), (3, 2)), (CATEGORICAL, (3, 4))],
    ids=["labels", "labels of steps", "steps"],
)
def test_batches_of_another_size_weighted_in_evaluate(likelihood, shape):
    """Ten rows by four, of several labels or steps."""
    logits = RNG.normal(size=(10, *shape)).astype("float32")
    weights = RNG.uniform(size=10).astype("float32")
    of_classes = likelihood is CATEGORICAL
    y = RNG.integers(0, 4, (10, 3)) if of_classes else RNG.integers(0, 2, (10, *shape))
    functions = {
        "score": (m.BrierScore(likelihood), m.brier_score, {}),
        **{
            part: (m.BrierScore(likelihood, part), m.brier_score, {"part": part})
            for part in ("reliability", "resolution", "uncertainty")
        },
        "ece": (m.ExpectedCalibrationError(likelihood), m.expected_calibration_error, {}),
        "cce": (m.ClasswiseCalibrationError(likelihood), m.classwise_calibration_error, {}),
    }
    if of_classes:
        weights = np.repeat(weights[:, None], 3, axis=1)
    layer = keras.layers.Dense(shape[-1], use_bias=False, kernel_initializer="identity")
    model = keras.Sequential([keras.Input(shape), layer])
    for name, (metric, _, _) in functions.items():
        metric.name = name
    model.compile(
        "sgd", likelihood, weighted_metrics=[metric for metric, _, _ in functions.values()]
    )
    logs = model.evaluate(
        logits, y, sample_weight=weights, batch_size=4, verbose=0, return_dict=True
    )
    predictive = kp.Predictive(logits[None], likelihood)
    for name, (_, function, options) in functions.items():
        expected = function(y, predictive, sample_weight=weights, **options)
        np.testing.assert_allclose(logs[name], expected, **CLOSE)


def test_masked_steps_do_not_count():
    x = np.array([[[1.0], [2.0], [0.0]], [[3.0], [0.0], [0.0]]], "float32")
    model = keras.Sequential(
        [keras.Input((3, 1)), keras.layers.Masking(), keras.layers.Dense(2, use_bias=False)]
    )
    model.layers[-1].kernel.assign([[1.0, 0.0]])
    model.compile("sgd", NORMAL, metrics=[m.PinballLoss(NORMAL, 0.5)])
    logs = model.evaluate(x, np.zeros((2, 3, 1), "float32"), verbose=0, return_dict=True)
    assert logs["pinball_loss"] == pytest.approx(1.0)  # half of 1, 2 and 3


def test_what_is_no_number_makes_the_value_none():
    for name in CASES:
        metric, _ = CASES[name]
        if isinstance(metric, (m.IntervalWidth, m.Sharpness)):
            continue
        y, outputs = data_of(metric)
        bad = np.where(np.arange(N).reshape(-1, *(1,) * (y.ndim - 1)) == 3, np.nan, y)
        rest = (np.arange(N) != 3).astype("float32")
        if name == "nll" or name == "nll_numbers":  # outside of the support
            assert streamed(metric, bad, outputs, None, N) == np.inf
        else:
            assert np.isnan(streamed(metric, bad, outputs, None, N)), name
        found = streamed(metric, bad, outputs, rest, N)
        np.testing.assert_allclose(found, CASES[name][1](rest), **CLOSE)
    wrong = np.where(np.arange(N) == 3, 4, LABELS)
    assert np.isnan(streamed(CASES["brier"][0], wrong, LOGITS, None, 7))


def test_a_ranking_of_one_kind_is_none():
    metric = m.AUROC(CATEGORICAL)
    metric.update_state(LOGITS.argmax(axis=1), LOGITS)
    assert np.isnan(float(metric.result()))


def test_keras_has_the_same_area():
    score = P.max(axis=1)
    stock = keras.metrics.AUC(num_thresholds=2000, curve="ROC")
    stock.update_state(LOGITS.argmax(axis=1) == LABELS, score)
    metric = m.AUROC(CATEGORICAL, num_thresholds=2000)
    metric.update_state(LABELS, LOGITS)
    np.testing.assert_allclose(float(metric.result()), float(stock.result()), rtol=1e-4)


def test_what_cannot_be_streamed_is_refused():
    with pytest.raises(TypeError, match="must be a likelihood"):
        m.BrierScore("mse")
    with pytest.raises(ValueError, match="is of classes"):
        m.BrierScore(NORMAL)
    with pytest.raises(ValueError, match="of normals"):
        m.CRPS(likelihoods.Poisson())
    with pytest.raises(ValueError, match="`score` must be"):
        m.AUROC(CATEGORICAL, "mutual_information")
    with pytest.raises(ValueError, match="n_bins"):
        m.BrierScore(CATEGORICAL, n_bins=0)


_MIRRORED = """
import json, os, sys
import tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
import keras
import numpy as np
import keras_priors as kp

rng = np.random.default_rng(0)
logits, labels = rng.normal(size=(37, 3)).astype("float32"), rng.integers(0, 3, 37)
likelihood = kp.likelihoods.Categorical()


def made():
    layer = keras.layers.Dense(3, use_bias=False, kernel_initializer="identity")
    model = keras.Sequential([keras.Input((3,)), layer])
    model.compile("sgd", likelihood, metrics=[
        kp.metrics.BrierScore(likelihood, "reliability"),
        kp.metrics.ExpectedCalibrationError(likelihood),
        kp.metrics.AUROC(likelihood),
        kp.metrics.NegativeLogPredictiveDensity(likelihood),
    ])
    return model


strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
assert strategy.num_replicas_in_sync == 2
with strategy.scope():
    two = made()
found = [
    each.evaluate(logits, labels, batch_size=8, verbose=0, return_dict=True)
    for each in (made(), two)
]
history = two.fit(logits, labels, batch_size=8, verbose=0).history
found.append({name: values[0] for name, values in history.items()})
print("LOGS" + json.dumps(found))
"""


@pytest.mark.slow
@pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="a strategy of TensorFlow")
def test_two_devices_give_what_one_gives():
    process = subprocess.run(
        [sys.executable, "-c", _MIRRORED],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "KERAS_BACKEND": "tensorflow"},
    )
    assert process.returncode == 0, process.stderr
    (line,) = [line for line in process.stdout.splitlines() if line.startswith("LOGS")]
    one, two, fitted = json.loads(line[4:])
    assert len(two) == 5 and set(one) == set(two) == set(fitted)
    for name, value in one.items():
        assert two[name] == pytest.approx(value, rel=1e-5), name
    assert all(np.isfinite(list(fitted.values())))
