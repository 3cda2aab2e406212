"""Predictives as `keras_priors.predict` gives them, of models that were fitted."""

import keras
import numpy as np
import pytest

import keras_priors as kp
from keras_priors import calibration

RNG = np.random.default_rng(0)
X = RNG.standard_normal((240, 3)).astype("float32")


def halves(model):
    """What a fitted model says of rows that it did not see: to calibrate by, and to try."""
    return (kp.predict(model, rows, num_samples=5, seed=0) for rows in (X[80:160], X[160:]))


@pytest.fixture(scope="module")
def of_classes():
    y = np.argmax(X @ RNG.standard_normal((3, 3)) + RNG.gumbel(size=(240, 3)), axis=-1)
    model = keras.Sequential([keras.Input((3,)), kp.VariationalDense(3, num_data=80)])
    model.compile(keras.optimizers.Adam(0.1), loss=kp.likelihoods.Categorical())
    model.fit(X[:80], y[:80], epochs=5, verbose=0)
    return (*halves(model), y[80:160], y[160:])


@pytest.fixture(scope="module")
def of_numbers():
    y = (X[:, :1] + 2.0 * RNG.standard_normal((240, 1))).astype("float32")
    layers = [keras.Input((3,)), kp.VariationalDense(1, num_data=80)]
    model = keras.Sequential(layers)
    model.compile(keras.optimizers.Adam(0.1), loss=kp.likelihoods.Normal(0.5))  # true: 2
    model.fit(X[:80], y[:80], epochs=5, verbose=0)
    return (*halves(model), y[80:160], y[160:])


@pytest.mark.parametrize("of", ["mean", "draws"])
def test_temperature_scaling_does_not_predict_worse(of_classes, of):
    held_back, new, y, y_new = of_classes
    scaling = calibration.TemperatureScaling(of).fit(held_back, y)
    before, after = held_back.log_prob(y).mean(), scaling.transform(held_back).log_prob(y).mean()
    assert after >= before - 1e-6
    scaled = scaling.transform(new)
    assert np.isfinite(scaled.log_prob(y_new)).all()
    np.testing.assert_allclose(scaled.probabilities.sum(axis=-1), 1.0, rtol=1e-5)


def test_isotonic_regression_does_not_predict_worse(of_classes):
    pytest.importorskip("sklearn")
    held_back, new, y, y_new = of_classes
    isotonic = calibration.IsotonicRegression().fit(held_back, y)
    assert kp.metrics.brier_score(y, isotonic.transform(held_back).probabilities) < (
        kp.metrics.brier_score(y, held_back.probabilities) + 1e-6
    )
    assert isotonic.transform(new).log_prob(y_new).shape == (80,)


@pytest.mark.parametrize("score", ["lac", "aps", "raps"])
def test_sets_hold_new_rows(of_classes, score):
    held_back, new, y, y_new = of_classes
    conformal = calibration.SplitConformalClassifier(score, coverage=0.9, seed=0)
    sets = conformal.fit(held_back, y).predict(new)
    assert sets.shape == (80, 3)
    # The spread of a share of 80 rows by a threshold of 80.
    assert abs(sets[np.arange(80), y_new].mean() - 73 / 81) < 4 * np.sqrt(2 * 0.09 / 80)
    scaled = calibration.TemperatureScaling().fit(held_back, y).transform(held_back)
    assert conformal.fit(scaled, y).predict(scaled).shape == (80, 3)


@pytest.mark.parametrize("score", ["absolute", "normalized", "quantile"])
def test_intervals_hold_new_rows(of_numbers, score):
    held_back, new, y, y_new = of_numbers
    low, high = new.interval(0.9)
    assert ((y_new >= low) & (y_new <= high)).mean() < 0.6
    conformal = calibration.SplitConformalRegressor(score, coverage=0.9).fit(held_back, y)
    low, high = conformal.predict(new)
    assert low.shape == (80, 1)
    inside = ((y_new >= low) & (y_new <= high)).mean()
    assert abs(inside - 73 / 81) < 4 * np.sqrt(2 * 0.09 / 80)


def test_quantiles_are_recalibrated(of_numbers):
    held_back, new, y, y_new = of_numbers
    found = calibration.QuantileRecalibration().fit(held_back, y).transform(new)
    low, high = found.interval(0.9)
    inside = ((y_new >= low) & (y_new <= high)).mean()
    assert abs(inside - 0.9) < 4 * np.sqrt(2 * 0.09 / 80)
    assert found.log_prob(y_new).mean() > new.log_prob(y_new).mean() + 1.0
    assert abs(found.std.mean() / new.std.mean() - 4.0) < 1.5
    np.testing.assert_allclose(found.cdf(found.quantile(0.3)), 0.3, rtol=1e-5)
