"""What metrics, pictures and scores of rows are given: NaN, half precision, lists, other shapes."""

import keras
import matplotlib
import numpy as np
import pytest

import keras_priors as kp
from keras_priors import metrics as m

matplotlib.use("Agg")

RNG = np.random.default_rng(0)
N = 200
LABELS = RNG.integers(0, 3, N)
LOGITS = (RNG.normal(size=(4, N, 3)) + np.eye(3)[LABELS]).astype("float32")
P = keras.ops.convert_to_numpy(keras.ops.softmax(LOGITS[0]))
NUMBERS = kp.Predictive(RNG.normal(size=(4, N, 1)), kp.likelihoods.Normal(1.0))
Y = RNG.normal(size=(N, 1))


def with_nan(predictive):
    draws = predictive.draws.copy()
    draws[1, 7] = np.nan
    return kp.Predictive(draws, predictive.likelihood)


@pytest.mark.parametrize(
    "judge",
    [
        m.crps,
        m.interval_coverage,
        m.interval_score,
        m.pit_values,
        m.quantile_calibration_error,
        m.area_under_risk_coverage,
        lambda y, p: m.interval_width(p),
        lambda y, p: m.sharpness(p),
        lambda y, p: m.pinball_loss(y, p, 0.5),
        lambda y, p: kp.acquire(p, 2, "variance"),
    ],
)
def test_numbers_predicted_as_nan_are_refused(judge):
    judge(Y, NUMBERS)
    with pytest.raises(ValueError, match="first in row 7"):
        judge(Y, with_nan(NUMBERS))


def test_classes_predicted_as_nan_are_refused():
    p = with_nan(kp.Predictive(LOGITS, kp.likelihoods.Categorical()))
    for judge in (m.brier_score, m.auroc, kp.plots.reliability_diagram):
        with pytest.raises(ValueError, match="first in row 7"):
            judge(LABELS, p)
    for method in ("bald", "batch_bald", "entropy"):
        with pytest.raises(ValueError, match="first in row 7"):
            kp.acquire(p, 2, method)


def test_an_interval_holds_infinity_and_no_nan():
    low, high = np.array([-np.inf, 0.0]), np.array([np.inf, 1.0])
    assert m.interval_coverage([np.inf, 2.0], (low, high)) == 0.5
    metric = m.IntervalCoverage(kp.likelihoods.Normal(1.0))
    metric.update_state(np.zeros((2, 1)), np.array([[0.0], [np.nan]]))
    assert np.isnan(float(metric.result()))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_taken_for_what_it_is(dtype):
    half = keras.ops.cast(P, dtype)
    for metric in (m.brier_score, m.expected_calibration_error):
        assert metric(LABELS, half) == pytest.approx(metric(LABELS, P), abs=0.02)
    with pytest.raises(ValueError, match="softmax"):
        m.brier_score(LABELS, keras.ops.cast(LOGITS[0], dtype))
    p = kp.Predictive(keras.ops.cast(LOGITS, dtype), kp.likelihoods.Categorical())
    exact = kp.Predictive(LOGITS, kp.likelihoods.Categorical())
    np.testing.assert_allclose(p.probabilities, exact.probabilities, rtol=0, atol=0.02)


def test_lists_and_tensors_of_probabilities_are_pictures_too():
    for p in (P.tolist(), keras.ops.convert_to_tensor(P)):
        lines = [kp.plots.reliability_diagram(LABELS, each).lines[-1] for each in (P, p)]
        np.testing.assert_allclose(*(line.get_ydata() for line in lines))
        lines = [kp.plots.risk_coverage(LABELS, each).lines[-1] for each in (P, p)]
        np.testing.assert_allclose(*(line.get_ydata() for line in lines))


def test_what_is_no_prediction_is_told_so():
    several = {"a": NUMBERS, "b": NUMBERS}
    for metric in (m.brier_score, m.negative_log_predictive_density, m.auroc):
        with pytest.raises(TypeError, match="several outputs"):
            metric(LABELS, several)
    with pytest.raises(TypeError, match="several outputs"):
        m.interval_coverage(Y, several)
    with pytest.raises(ValueError, match="Number the classes"):
        m.brier_score(["a", "b"], [0.5, 0.2])
    with pytest.raises(ValueError, match="Leave it out"):
        m.auroc([0, 1], [0.5, 0.2], of="y", score="entropy")


def test_targets_of_another_shape_and_the_same_size_are_refused():
    two = kp.Predictive(np.zeros((2, N, 2)), kp.likelihoods.Normal(1.0))
    for picture in (kp.plots.pit_histogram, kp.plots.risk_coverage):
        picture(np.zeros((N, 2)), two)
        for shape in ((2, N), (2 * N,)):
            with pytest.raises(ValueError, match="shape of what was predicted"):
                picture(np.zeros(shape), two)
    image = kp.Predictive(np.zeros((1, 4, 2, 3, 5)), kp.likelihoods.Categorical())
    m.brier_score(np.zeros((4, 2, 3), "int64"), image)
    with pytest.raises(ValueError, match="one label for each"):
        m.brier_score(np.zeros((4, 3, 2), "int64"), image)
