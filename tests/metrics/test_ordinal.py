"""Ordered classes are judged by their probabilities, as those of `Categorical` are."""

import keras
import numpy as np
import pytest

import keras_priors as kp
from keras_priors import metrics as m

RNG = np.random.default_rng(0)
N, LIKELIHOOD = 120, kp.likelihoods.Ordinal(4)
DRAWS = RNG.normal(size=(5, N, 3)).astype("float32")
Y = RNG.integers(0, 4, N)
ORDINAL = kp.Predictive(DRAWS, LIKELIHOOD)
# The same probabilities at each draw, said by logits.
LOGITS = np.log(keras.ops.convert_to_numpy(LIKELIHOOD.probabilities(DRAWS)))
SAME = kp.Predictive(LOGITS, kp.likelihoods.Categorical())
STREAMING = [
    m.AUPR,
    m.AUROC,
    m.AccuracyAtCoverage,
    m.AdaptiveCalibrationError,
    m.AreaUnderRiskCoverage,
    m.BrierScore,
    m.ClasswiseCalibrationError,
    m.ExpectedCalibrationError,
    m.MaximumCalibrationError,
    m.NegativeLogPredictiveDensity,
]


@pytest.mark.parametrize("metric", STREAMING)
def test_streaming_metrics_are_those_of_the_probabilities(metric):
    weights = RNG.uniform(0.5, 2.0, N)
    one, other = metric(LIKELIHOOD), metric(kp.likelihoods.Categorical())
    for start, stop in ((0, 50), (50, N)):
        rows = slice(start, stop)
        one.update_state(Y[rows, None], DRAWS[0, rows], weights[rows])
        other.update_state(Y[rows], LOGITS[0, rows], weights[rows])
    np.testing.assert_allclose(float(one.result()), float(other.result()), rtol=1e-4, atol=1e-6)
    again = metric.from_config(one.get_config())
    again.update_state(np.array([7]), DRAWS[0, :1])  # is no class
    assert not np.isfinite(float(again.result()))


def test_a_streaming_metric_is_one_of_compile():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1), kp.layers.Cutpoints(4)])
    model.compile(loss=LIKELIHOOD, metrics=[m.BrierScore(LIKELIHOOD, name="brier")])
    x = RNG.normal(size=(N, 2)).astype("float32")
    found = model.evaluate(x, Y, verbose=0, return_dict=True, batch_size=50)["brier"]
    p = kp.predict(model, x, likelihood=LIKELIHOOD, verbose=0)
    np.testing.assert_allclose(found, m.brier_score(Y, p), rtol=1e-4)
    p = keras.ops.convert_to_numpy(LIKELIHOOD.probabilities(model(x)))
    np.testing.assert_allclose(found, np.square(p - np.eye(4)[Y]).sum(-1).mean(), rtol=1e-4)


@pytest.mark.parametrize("score", ["lac", "aps", "raps"])
@pytest.mark.parametrize("conditional", [False, True])
def test_conformal_sets_are_those_of_the_probabilities(score, conditional):
    found = []
    for predictive in (ORDINAL, SAME):
        conformal = kp.calibration.SplitConformalClassifier(
            score, coverage=0.8, class_conditional=conditional, seed=1
        )
        conformal.fit(predictive, Y)
        found.append((conformal.threshold_, conformal.predict(predictive)))
    np.testing.assert_allclose(found[0][0], found[1][0], atol=1e-6)
    assert found[0][1].shape == (N, 4)
    assert np.mean(found[0][1] != found[1][1]) < 0.01  # but for the last bit at the threshold
    with pytest.raises(ValueError, match="Categorical, rows of shape"):
        kp.calibration.SplitConformalClassifier().fit(ORDINAL, Y).predict(SAME)
    with pytest.raises(ValueError, match=r"classes from 0 to 3\. Received: 1 of"):
        kp.calibration.SplitConformalClassifier().fit(ORDINAL, np.where(np.arange(N), Y, 4))


def test_isotonic_regression_is_that_of_the_probabilities():
    one, other = (
        kp.calibration.IsotonicRegression().fit(p, Y).transform(p) for p in (ORDINAL, SAME)
    )
    np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-5)


@pytest.mark.parametrize("method", ["bald", "batch_bald", "entropy"])
def test_rows_to_label_are_those_of_the_probabilities(method):
    np.testing.assert_array_equal(kp.acquire(ORDINAL, 4, method), kp.acquire(SAME, 4, method))


def test_a_scale_of_logits_is_refused_for_they_have_none():
    with pytest.raises(ValueError, match=r"Categorical and Bernoulli\. Received: Ordinal"):
        kp.calibration.TemperatureScaling().fit(ORDINAL, Y)


def test_pictures_of_classes_are_those_of_the_probabilities():
    pytest.importorskip("matplotlib").use("Agg")
    from matplotlib import pyplot as plt

    lines = [kp.plots.reliability_diagram(Y, p).lines[-1].get_ydata() for p in (ORDINAL, SAME)]
    np.testing.assert_allclose(*lines, atol=1e-6)
    tables = [kp.plots.confusion_matrix(Y, p)[0].images[0].get_array() for p in (ORDINAL, SAME)]
    np.testing.assert_allclose(*tables)
    bars = [kp.plots.class_probabilities(p, [0, 1], Y) for p in (ORDINAL, SAME)]
    heights = [[bar.get_height() for ax in axes for bar in ax.patches] for axes in bars]
    np.testing.assert_allclose(*heights, atol=1e-6)
    plt.close("all")
