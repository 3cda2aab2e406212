"""Metrics, pictures and `compare` take what `QuantileRecalibration` gives."""

import matplotlib
import numpy as np
import pytest
from scipy import stats

import keras_priors as kp
from keras_priors import metrics as m

matplotlib.use("Agg")

RNG = np.random.default_rng(3)
N = 400
MEAN = RNG.normal(size=(N, 1))
Y, NEW = (MEAN + 2.0 * RNG.normal(size=(N, 1)) for _ in range(2))
SURE = kp.Predictive(MEAN[None], kp.likelihoods.Normal(1.0))  # half the noise that there is
RIGHT = kp.Predictive(MEAN[None], kp.likelihoods.Normal(2.0))
FOUND = kp.calibration.QuantileRecalibration(num_pieces=2).fit(SURE, Y).transform(SURE)
METRICS = {
    "crps": m.crps,
    "interval_score": m.interval_score,
    "nll": m.negative_log_predictive_density,
    "pinball": lambda y, p: m.pinball_loss(y, p, 0.9),
    "width": lambda y, p: m.interval_width(p),
    "sharpness": lambda y, p: m.sharpness(p),
    "aurc": lambda y, p: m.area_under_risk_coverage(y, p, score=np.abs(MEAN)),
    "qce": m.quantile_calibration_error,
    "coverage": m.interval_coverage,
}


def of_line(slope, predictive):
    """Recalibrated by a line, so that normals become normals."""
    recalibration = kp.calibration.QuantileRecalibration()
    ends = np.array([[-1.0, -slope], [1.0, slope]])
    recalibration.fit(predictive, np.zeros(predictive.mean.shape))
    recalibration.levels_ = [ends] * predictive.mean.shape[-1]
    return recalibration.transform(predictive)


@pytest.mark.parametrize("name", METRICS)
def test_metrics_are_those_of_the_distribution_that_it_is(name):
    # R is Phi(z / 2): each is then N(mean, 2^2).
    values = [METRICS[name](NEW, p) for p in (of_line(0.5, SURE), RIGHT)]
    np.testing.assert_allclose(*values, rtol=1e-4)


def test_the_crps_of_single_rows_is_known_as_well_as_said():
    y = np.linspace(-6, 6, 40)[:, None]
    p = kp.Predictive(np.zeros((1, 40, 1)), kp.likelihoods.Normal(1.0))
    found = [m.crps(v[None], of_line(0.5, kp.Predictive(p.draws[:, :1], p.likelihood))) for v in y]
    exact = [m.crps_normal(v, [0.0], [2.0]) for v in y]
    np.testing.assert_allclose(found, exact, rtol=0, atol=2 * 4.5e-4)


def test_recalibration_shows_in_every_score_and_in_one_table():
    values = m.pit_values(NEW, FOUND)
    assert values.shape == NEW.shape
    assert stats.kstest(values.ravel(), "uniform").pvalue > 0.01
    table = kp.compare({"sure": SURE, "recalibrated": FOUND}, MEAN, NEW)
    for name in ("nll", "crps"):
        assert table["recalibrated"][name] < table["sure"][name]
    assert table["recalibrated"]["nll"] == pytest.approx(METRICS["nll"](NEW, FOUND))
    assert abs(table["recalibrated"]["coverage"] - 0.9) < 0.05 < 0.9 - table["sure"]["coverage"]
    assert table["recalibrated"]["rmse"] == pytest.approx(2.0, rel=0.1)


def test_pictures():
    ax = kp.plots.pit_histogram(NEW, FOUND)
    heights = [bar.get_height() for bar in ax.patches[:10]]
    known = np.histogram(m.pit_values(NEW, FOUND), 10, (0, 1), density=True)[0]
    np.testing.assert_allclose(heights, known, rtol=1e-3, atol=0.03)
    ax = kp.plots.predictive_band(FOUND, MEAN, NEW)
    order = np.argsort(MEAN[:, 0])
    low, high = FOUND.interval(0.9)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), low[order, 0])
    np.testing.assert_allclose(ax.lines[1].get_ydata(), high[order, 0])
    np.testing.assert_allclose(ax.lines[-1].get_ydata(), FOUND.mean[order, 0])
    risk = kp.plots.risk_coverage(NEW, FOUND).lines[-1].get_ydata()[-1]
    assert risk == pytest.approx(np.mean((NEW - FOUND.mean) ** 2), rel=1e-5)


def test_what_it_has_not_is_left_out_or_refused():
    two = kp.Predictive(np.zeros((1, 50, 2)), kp.likelihoods.Normal(1.0))
    y = RNG.normal(size=(50, 2))
    table = kp.compare({"two": of_line(0.5, two)}, y, y)
    assert list(table["two"]) == ["rmse", "coverage", "crps"]
    with pytest.raises(ValueError, match="joint density"):
        m.negative_log_predictive_density(y, of_line(0.5, two))
    with pytest.raises(ValueError, match="epistemic"):
        m.area_under_risk_coverage(NEW, FOUND, score="epistemic")
    with pytest.raises(ValueError, match="shape of what was predicted"):
        m.crps(y, FOUND)
    for refuses in (kp.ood_score, lambda p: kp.acquire(p, 2, "variance")):
        with pytest.raises(TypeError, match="RecalibratedPredictive"):
            refuses(FOUND)
