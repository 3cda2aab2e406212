"""What a mask hides is not counted unseen: masked arrays are refused, by every metric."""

import inspect

import numpy as np
import pytest

import keras_priors as kp
from keras_priors import metrics as m

RNG = np.random.default_rng(0)
N = 60
LABELS = RNG.integers(0, 3, N)
P = RNG.dirichlet(np.ones(3), N)
CLASSES = kp.Predictive(np.log(P)[None], kp.likelihoods.Categorical())
Y = RNG.normal(size=(N, 1))
NUMBERS = kp.Predictive(RNG.normal(size=(4, N, 1)), kp.likelihoods.Normal(1.0))
OF_CLASSES = {
    "accuracy_at_coverage",
    "adaptive_calibration_error",
    "area_under_risk_coverage",
    "aupr",
    "auroc",
    "brier_score",
    "classwise_calibration_error",
    "expected_calibration_error",
    "maximum_calibration_error",
}
MORE = {"pinball_loss": (0.5,)}
WITHOUT_Y = {"interval_width", "sharpness"}
BY_PARTS = {"crps_normal": (np.zeros((N, 1)), np.ones((N, 1)))}
FUNCTIONS = sorted(name for name in m.__all__ if inspect.isfunction(getattr(m, name)))
CLASSES_OF_METRICS = sorted(name for name in m.__all__ if inspect.isclass(getattr(m, name)))
REFUSED = "masked array with 1 masked elements? of 60"


def masked(values):
    where = np.zeros(np.shape(values), bool)
    where.flat[3] = True
    return np.ma.masked_array(values, mask=where)


def call(name, y, prediction, **options):
    function = getattr(m, name)
    if name in BY_PARTS:
        return function(y, *BY_PARTS[name], **options)
    if name in WITHOUT_Y:
        return function(prediction, **options)
    return function(y, prediction, *MORE.get(name, ()), **options)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_by_every_function(name):
    y, predictive = (LABELS, CLASSES) if name in OF_CLASSES else (Y, NUMBERS)
    whole = call(name, y, predictive)
    unmasked = np.ma.masked_array(y, mask=np.zeros(y.shape, bool))
    np.testing.assert_array_equal(call(name, unmasked, predictive), whole)
    if name not in WITHOUT_Y:
        with pytest.raises(ValueError, match=REFUSED):
            call(name, masked(y), predictive)
    if "sample_weight" in inspect.signature(getattr(m, name)).parameters:
        call(name, y, predictive, sample_weight=np.ones(N))
        with pytest.raises(ValueError, match=REFUSED):
            call(name, y, predictive, sample_weight=masked(np.ones(N)))


@pytest.mark.parametrize("name", sorted(OF_CLASSES))
def test_and_so_are_masked_probabilities_and_scores(name):
    with pytest.raises(ValueError, match="masked array with 1 masked elements of 180"):
        call(name, LABELS, masked(P))
    if "score" in inspect.signature(getattr(m, name)).parameters:
        with pytest.raises(ValueError, match=REFUSED):
            call(name, LABELS, CLASSES, score=masked(np.ones(N)))


def test_and_masked_intervals_quantiles_and_samples():
    low, high = Y - 1.0, Y + 1.0
    for judge in (
        lambda: m.interval_score(Y, (masked(low), high)),
        lambda: m.interval_coverage(Y, (low, masked(high))),
        lambda: m.interval_width((masked(low), high)),
        lambda: m.pinball_loss(Y, masked(low), 0.5),
        lambda: m.crps_normal(Y, masked(low), 1.0 + 0 * low),
        lambda: m.crps_normal(Y, low, masked(1.0 + 0 * low)),
        lambda: m.crps(Y, masked(np.stack([Y]))),
        lambda: m.auroc(np.arange(N) % 2, masked(np.linspace(0, 1, N)), of="y"),
    ):
        with pytest.raises(ValueError, match=REFUSED):
            judge()


@pytest.mark.parametrize("name", CLASSES_OF_METRICS)
def test_and_by_every_streaming_metric(name):
    metric_class = getattr(m, name)
    more = {"PinballLoss": (0.5,)}.get(name, ())
    try:
        metric, y, outputs = metric_class(kp.likelihoods.Categorical(), *more), LABELS, np.log(P)
        assert name != "LikelihoodMean"
    except (ValueError, AssertionError):
        metric, y, outputs = metric_class(kp.likelihoods.Normal(1.0), *more), Y, Y + 1.0
    for given in ((masked(y), outputs), (y, outputs, masked(np.ones(N)))):
        with pytest.raises(ValueError, match=REFUSED):
            metric.update_state(*given)
    metric.update_state(y, outputs)


def test_and_by_a_predictive():
    with pytest.raises(ValueError, match="masked array with 1 masked elements of 240"):
        kp.Predictive(masked(NUMBERS.draws), NUMBERS.likelihood)
    assert kp.Predictive(np.ma.masked_array(NUMBERS.draws), NUMBERS.likelihood).draws.shape[0] == 4


def test_and_by_what_is_learned_from_rows_held_back():
    c = kp.calibration
    for one, predictive, y in (
        (c.TemperatureScaling(), CLASSES, LABELS),
        (c.IsotonicRegression(), CLASSES, LABELS),
        (c.SplitConformalClassifier(), CLASSES, LABELS),
        (c.QuantileRecalibration(), NUMBERS, Y),
        (c.SplitConformalRegressor(), NUMBERS, Y),
    ):
        with pytest.raises(ValueError, match=REFUSED):
            one.fit(predictive, masked(y))
    assert {name for name in c.__all__ if "fit" in vars(getattr(c, name))} == {
        "TemperatureScaling",
        "IsotonicRegression",
        "SplitConformalClassifier",
        "QuantileRecalibration",
        "SplitConformalRegressor",
    }
