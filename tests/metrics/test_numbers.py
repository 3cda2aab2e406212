"""Metrics of numbers: scoringrules, integrals, closed forms, and what is degenerate."""

import numpy as np
import pytest
import scoringrules as sr
from scipy import integrate, stats
from sklearn.metrics import mean_pinball_loss

import keras_priors as kp
from keras_priors import likelihoods
from keras_priors import metrics as m
from keras_priors.metrics import mixtures

RNG = np.random.default_rng(5)
Y = RNG.normal(size=40)
W = RNG.uniform(size=40) * (RNG.random(40) > 0.2)
MEAN, SCALE = RNG.normal(size=(7, 40)), RNG.uniform(0.2, 2.0, (7, 40))


def of_normals(mean, scale):
    """A predictive whose draws are these normals."""
    rho = np.log(np.expm1(scale - 1e-6))
    outputs = np.stack([mean, rho], axis=-1).astype("float32")
    return kp.Predictive(outputs, likelihoods.HeteroscedasticNormal())


def test_crps_of_normals_and_of_their_mixtures():
    expected = sr.crps_normal(Y, MEAN[0], SCALE[0])
    found = m.crps_normal(Y, MEAN[0], SCALE[0], sample_weight=W)
    np.testing.assert_allclose(found, np.average(expected, weights=W), rtol=1e-9)
    expected = sr.crps_mixnorm(Y, MEAN.T, SCALE.T)
    np.testing.assert_allclose(m.crps_normal(Y, MEAN, SCALE), expected.mean(), rtol=1e-9)
    p = of_normals(MEAN, SCALE)
    found = m.crps(Y[:, None], p, sample_weight=W)
    np.testing.assert_allclose(found, np.average(expected, weights=W), rtol=1e-5)
    # By its definition, for one row.
    f = stats.norm(MEAN[:, 3], SCALE[:, 3])

    def square(t):
        return (f.cdf(t).mean() - (t >= Y[3])) ** 2

    integral = integrate.quad(square, -15, Y[3])[0] + integrate.quad(square, Y[3], 15)[0]
    np.testing.assert_allclose(m.crps_normal(Y[3:4], MEAN[:, 3:4], SCALE[:, 3:4]), integral)


def test_many_draws_are_integrated_and_not_paired(monkeypatch):
    # Near each other, at one scale: few points are exact.
    mean, scale = 0.3 * RNG.normal(size=(200, 3)), RNG.uniform(0.5, 0.6, (200, 3))
    paired = mixtures._pairs
    monkeypatch.setattr(mixtures, "_pairs", None)
    found = mixtures.normal_mixture_crps(Y[:3], mean, scale)
    monkeypatch.setattr(mixtures, "_pairs", paired)
    np.testing.assert_allclose(found, sr.crps_mixnorm(Y[:3], mean.T, scale.T), rtol=1e-9)
    # Far from each other, at small scales: pairs.
    found = mixtures.normal_mixture_crps(Y[:3], 1e3 * mean, 1e-2 * scale)
    expected = sr.crps_mixnorm(Y[:3], 1e3 * mean.T, 1e-2 * scale.T)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_crps_of_samples_and_of_other_likelihoods():
    samples = np.round(RNG.normal(size=(30, 40)), 1)  # with ties
    expected = sr.crps_ensemble(Y, samples.T, estimator="nrg")
    found = m.crps(Y, samples, sample_weight=W)
    np.testing.assert_allclose(found, np.average(expected, weights=W), rtol=1e-9)
    assert m.crps([1.0], [[3.0]]) == 2.0  # of a point the absolute error
    p = kp.Predictive(np.zeros((2, 40, 1)), likelihoods.Laplace(0.7))
    each = sr.crps_laplace(Y, 0.0, 0.7)
    # The spread of 5000 samples of E|X - X'| / 2, the same for all rows at most.
    assert m.crps(Y[:, None], p) == pytest.approx(each.mean(), abs=4 * 0.7 / np.sqrt(5000))


def test_intervals_and_quantiles_of_a_mixture():
    p = of_normals(MEAN, SCALE)

    def mixture_cdf(t):
        return stats.norm.cdf(t, MEAN, SCALE).mean(axis=0)

    for level in (0.05, 0.5, 0.95):
        found = mixtures.quantile(p, level)[:, 0]
        np.testing.assert_allclose(mixture_cdf(found), level, atol=1e-5)
        np.testing.assert_allclose(
            m.pinball_loss(Y[:, None], p, level, sample_weight=W),
            mean_pinball_loss(Y, found, alpha=level, sample_weight=W),
            rtol=1e-5,
        )
    low, high = mixtures.quantile(p, 0.1)[:, 0], mixtures.quantile(p, 0.9)[:, 0]
    expected = sr.interval_score(Y, low, high, 0.2)
    for prediction in (p, (low, high)):
        y = Y[:, None] if prediction is p else Y
        kwargs = {"coverage": 0.8, "sample_weight": W}
        found = m.interval_score(y, prediction, **kwargs)
        np.testing.assert_allclose(found, np.average(expected, weights=W), rtol=1e-5)
        inside = (low <= Y) & (high >= Y)
        found = m.interval_coverage(y, prediction, **kwargs)
        np.testing.assert_allclose(found, np.average(inside, weights=W))
        found = m.interval_width(prediction, **kwargs)
        np.testing.assert_allclose(found, np.average(high - low, weights=W), rtol=1e-5)
    assert m.interval_coverage([1.0, 2.0], ([1.0, 1.0], [1.0, 2.0])) == 1.0  # ends belong to it


def test_other_likelihoods_have_the_quantiles_of_their_samples():
    p = kp.Predictive(np.zeros((1, 4, 1)), likelihoods.StudentT(5.0))
    width = 2 * stats.t(5.0).ppf(0.95)
    # A quantile at 5% of 5000 samples: sqrt(q (1 - q) / n) / f.
    error = 2 * np.sqrt(0.05 * 0.95 / 5000) / stats.t(5.0).pdf(width / 2)
    assert abs(m.interval_width(p) - width) < 4 * error


def test_pit_values():
    p = of_normals(MEAN, SCALE)
    found = m.pit_values(Y[:, None], p)
    np.testing.assert_allclose(found[:, 0], stats.norm.cdf(Y, MEAN, SCALE).mean(axis=0), atol=1e-6)
    p = kp.Predictive(MEAN[..., None], likelihoods.Laplace(0.5))
    expected = stats.laplace.cdf(Y, MEAN, 0.5).mean(axis=0)
    np.testing.assert_allclose(m.pit_values(Y, p)[:, 0], expected, atol=1e-6)
    p = kp.Predictive(MEAN[..., None], likelihoods.StudentT(5.0))
    expected = stats.t.cdf(Y, 5.0, MEAN).mean(axis=0)
    error = 4 * 0.5 / np.sqrt(5000)
    np.testing.assert_allclose(m.pit_values(Y, p)[:, 0], expected, atol=error)
    counts = RNG.poisson(2.0, 3000)
    p = kp.Predictive(np.full((1, 3000, 1), np.log(2.0)), likelihoods.Poisson())
    values = m.pit_values(counts, p)[:, 0]
    assert stats.kstest(values, "uniform").pvalue > 1e-3
    below, at = stats.poisson(2.0).cdf(counts - 1), stats.poisson(2.0).cdf(counts)
    assert np.all((values > below - 1e-6) & (values < at + 1e-6))
    assert not np.array_equal(values, m.pit_values(counts, p, seed=1)[:, 0])


def test_quantile_calibration_error():
    p = of_normals(MEAN, SCALE)
    values = m.pit_values(Y[:, None], p)[:, 0]
    levels = np.arange(1, 20) / 20
    shares = [np.average(values <= level, weights=W) for level in levels]
    found = m.quantile_calibration_error(Y[:, None], p, sample_weight=W)
    np.testing.assert_allclose(found, np.mean(np.abs(shares - levels)), rtol=1e-9)


def test_sharpness_is_the_mean_deviation():
    p = of_normals(MEAN, SCALE)
    variance = MEAN.var(axis=0) + (SCALE**2).mean(axis=0)
    found = m.sharpness(p, sample_weight=W)
    np.testing.assert_allclose(found, np.average(np.sqrt(variance), weights=W), rtol=1e-5)


def test_deviations_in_float64():
    for noise, scale in (
        (likelihoods.Laplace(0.5), 0.5 * 2**0.5),
        (likelihoods.StudentT(4.0), 2**0.5),
    ):
        assert m.sharpness(kp.Predictive(np.zeros((1, 3, 1)), noise)) == pytest.approx(scale)


def test_risk_coverage_of_numbers():
    p = of_normals(MEAN, SCALE)
    loss, doubt = (Y - p.mean[:, 0]) ** 2, p.total[:, 0]
    risks = [loss[doubt <= d].mean() for d in doubt]
    found = m.area_under_risk_coverage(Y[:, None], p)
    np.testing.assert_allclose(found, np.mean(risks), rtol=1e-9)
    risks = [loss[p.epistemic[:, 0] <= d].mean() for d in p.epistemic[:, 0]]
    found = m.area_under_risk_coverage(Y[:, None], p, score="epistemic")
    np.testing.assert_allclose(found, np.mean(risks), rtol=1e-9)


def test_log_density_of_a_predictive():
    p = of_normals(MEAN, SCALE)
    expected = -np.log(stats.norm.pdf(Y, MEAN, SCALE).mean(axis=0))
    found = m.negative_log_predictive_density(Y[:, None], p, sample_weight=W)
    np.testing.assert_allclose(found, np.average(expected, weights=W), rtol=1e-5)


def test_shapes_of_one_row_of_one_output_and_of_many():
    p = kp.Predictive(np.zeros((3, 1)), likelihoods.Normal(1.0))  # outputs (S, N)
    assert m.crps([0.0], p) == pytest.approx((np.sqrt(2) - 1) / np.sqrt(np.pi))
    assert m.pit_values([0.0], p).shape == (1,)
    steps = kp.Predictive(RNG.normal(size=(3, 5, 2, 2)), likelihoods.Normal([1.0, 2.0]))
    y, weights = RNG.normal(size=(5, 2, 2)), RNG.uniform(size=5)
    each = [
        m.crps(y[i : i + 1], kp.Predictive(steps.draws[:, i : i + 1], steps.likelihood))
        for i in range(5)
    ]
    found = m.crps(y, steps, sample_weight=weights)
    np.testing.assert_allclose(found, np.average(each, weights=weights), rtol=1e-9)
    # Blocks of rows do not show.
    assert m.crps(Y, np.zeros((1, 40))) == pytest.approx(np.mean(np.abs(Y)))


def test_blocks_of_rows_do_not_show(monkeypatch):
    from keras_priors.metrics import number_rows

    p = of_normals(MEAN, SCALE)
    counted = kp.Predictive(MEAN[:, :6, None], likelihoods.NegativeBinomial(3.0))
    whole = m.crps(Y[:, None], p)
    monkeypatch.setattr(number_rows, "_ELEMENTS", 30)
    np.testing.assert_allclose(m.crps(Y[:, None], p), whole, rtol=1e-12)
    monkeypatch.setattr(mixtures, "_SAMPLES", 1000)
    monkeypatch.setattr(mixtures, "_ELEMENTS", 1000 * 3)
    counts = RNG.poisson(1.0, 6)
    rate = np.exp(MEAN[:, :6])
    of = stats.nbinom(3.0, 3.0 / (3.0 + rate))
    below, at = of.cdf(counts - 1).mean(axis=0), of.cdf(counts).mean(axis=0)
    values = m.pit_values(counts, counted)[:, 0]
    error = 4 * 0.5 / np.sqrt(1000)
    assert np.all((values > below - error) & (values < at + error))


def test_what_is_no_number_or_does_not_fit_is_refused():
    p = of_normals(MEAN, SCALE)
    nan = np.where(np.arange(40) == 3, np.nan, Y)[:, None]
    classes = kp.Predictive(np.zeros((1, 40, 3)), likelihoods.Categorical())
    bare = kp.Predictive(np.zeros((1, 40, 3)))
    for metric in (
        m.crps,
        m.interval_score,
        m.interval_coverage,
        m.pit_values,
        m.quantile_calibration_error,
        m.negative_log_predictive_density,
        m.area_under_risk_coverage,
        lambda y, p: m.pinball_loss(y, p, 0.5),
    ):
        with pytest.raises(ValueError, match="NaN"):
            metric(nan, p)
        with pytest.raises(ValueError, match=r"shape|one row for each"):
            metric(Y[:7], p)
    for predictive in (classes, bare):
        with pytest.raises(ValueError, match="numbers with an order"):
            m.crps(Y, predictive)
        with pytest.raises(ValueError, match="numbers with an order"):
            m.sharpness(predictive)
    with pytest.raises(TypeError, match="Predictive"):
        m.pit_values(Y, MEAN)
    with pytest.raises(ValueError, match="crossed"):
        m.interval_width(([1.0], [0.0]))
    with pytest.raises(ValueError, match="greater than 0"):
        m.crps_normal([0.0], [0.0], [0.0])
    with pytest.raises(ValueError, match="one axis more"):
        m.crps_normal([0.0], [0.0, 1.0], [1.0, 1.0])
    with pytest.raises(ValueError, match=r"\(S, N"):
        m.crps([0.0], [0.0])
    for bad in (0.0, 1.0, np.nan):
        with pytest.raises(ValueError, match="coverage"):
            m.interval_width(p, bad)
    with pytest.raises(ValueError, match="at least 2"):
        m.quantile_calibration_error(Y[:, None], p, n_bins=1)
