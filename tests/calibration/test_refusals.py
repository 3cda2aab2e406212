"""What every object of this room refuses in the same words."""

import keras
import numpy as np
import pytest

from keras_priors import likelihoods
from keras_priors.calibration import (
    IsotonicRegression,
    QuantileRecalibration,
    SplitConformalClassifier,
    SplitConformalRegressor,
    TemperatureScaling,
)
from keras_priors.predictive import Predictive

OF_CLASSES = [TemperatureScaling, IsotonicRegression, SplitConformalClassifier]
OF_NUMBERS = [QuantileRecalibration, SplitConformalRegressor]
RNG = np.random.default_rng(0)
LABELS = np.arange(30) % 3
CLASSES = Predictive(RNG.standard_normal((2, 30, 3)) + np.eye(3)[LABELS], likelihoods.Categorical())
NUMBERS = Predictive(RNG.standard_normal((2, 30, 2)), likelihoods.Normal(1.0))
TARGETS = RNG.standard_normal((30, 2))


def use(fitted, predictive):
    """`transform`, or `predict` of what gives sets and intervals."""
    conformal = isinstance(fitted, (SplitConformalClassifier, SplitConformalRegressor))
    return fitted.predict(predictive) if conformal else fitted.transform(predictive)


def case(kind):
    return (CLASSES, LABELS) if kind in OF_CLASSES else (NUMBERS, TARGETS)


@pytest.mark.parametrize("kind", OF_CLASSES + OF_NUMBERS)
def test_what_is_no_predictive_of_this_kind(kind):
    right, y = case(kind)
    wrong, of_wrong = case((OF_NUMBERS if kind in OF_CLASSES else OF_CLASSES)[0])
    with pytest.raises(TypeError, match=r"takes a Predictive\. Received: ndarray"):
        kind().fit(right.draws, y)
    with pytest.raises(TypeError, match=r"Received: dict\. Of a model with several outputs"):
        kind().fit({"one": right}, {"one": y})
    what = "is for classes" if kind in OF_CLASSES else "is for numbers"
    with pytest.raises(ValueError, match=f"{what}.*Received: {type(wrong.likelihood).__name__}"):
        kind().fit(wrong, of_wrong)
    bare = Predictive(right.draws)
    with pytest.raises(ValueError, match="Received: a Predictive without"):
        kind().fit(bare, y)
    with pytest.raises(ValueError, match=f"{kind.__name__} must be fitted first"):
        use(kind(), right)
    fitted = kind().fit(right, y)
    with pytest.raises(ValueError, match=what):
        use(fitted, wrong)
    with pytest.raises(TypeError, match="Received: ndarray"):
        use(fitted, right.draws)
    other = Predictive(right.draws[..., :1].repeat(4, axis=-1), right.likelihood)
    with pytest.raises(ValueError, match=r"shape \(4,\), where `fit` had .* shape \([23],\)"):
        use(fitted, other)
    assert use(fitted, Predictive(right.draws[:1, :7], right.likelihood)) is not None


@pytest.mark.parametrize("kind", OF_CLASSES + OF_NUMBERS)
def test_rows_and_targets_that_are_not_known_or_do_not_fit(kind):
    right, y = case(kind)
    draws = right.draws.copy()
    draws[1, 4] = np.nan
    with pytest.raises(ValueError, match=r"NaN in \d of \d+ outputs, first in row 4"):
        kind().fit(Predictive(draws, right.likelihood), y)
    with pytest.raises(ValueError, match="one row for each of the 30 rows"):
        kind().fit(right, y[:29])
    with pytest.raises(ValueError, match="must"):
        kind().fit(right, np.zeros((30, 7)))
    unknown = np.array(y, "float64")
    unknown[5] = np.nan
    with pytest.raises(ValueError, match=r"first in row 5\. Leave out rows whose"):
        kind().fit(right, unknown)
    with pytest.raises(ValueError, match="one row for each of the 30 rows"):
        kind().fit(right, y[:0])
    with pytest.raises(ValueError, match="at least one of each"):
        kind().fit(Predictive(right.draws[:, :0], right.likelihood), y[:0])
    # Nothing is kept of a `fit` that failed.
    fresh = kind()
    with pytest.raises(ValueError, match="one row for each"):
        fresh.fit(right, y[:29])
    with pytest.raises(ValueError, match="must be fitted first"):
        use(fresh, right)


@pytest.mark.parametrize("kind", OF_CLASSES)
def test_labels_that_are_no_classes(kind):
    for wrong in (3, -1, 0.5):
        y = LABELS.astype("float64")
        y[7] = wrong
        with pytest.raises(ValueError, match=r"classes from 0 to 2.*Received: 1 of 30.*row 7"):
            kind().fit(CLASSES, y)
    soft = np.full((30, 3), 1.0 / 3.0)
    with pytest.raises(ValueError, match="Received: 30 of 30 that are none"):
        kind().fit(CLASSES, soft)
    binary = Predictive(CLASSES.draws[..., 0], likelihoods.Bernoulli())
    with pytest.raises(ValueError, match="classes from 0 to 1"):
        kind().fit(binary, LABELS)


@pytest.mark.parametrize("kind", OF_CLASSES + OF_NUMBERS)
def test_tensors_lists_and_columns_are_targets(kind):
    right, y = case(kind)
    if kind in OF_NUMBERS:
        right, y = Predictive(right.draws[..., :1], right.likelihood), y[:, 0].astype("float32")

    def result(target):
        fitted = kind().fit(right, target)
        found = use(fitted, right)
        if isinstance(found, Predictive):
            return found.draws
        return found.quantile(0.3) if kind is QuantileRecalibration else np.asarray(found)

    expected = result(y)
    for target in (keras.ops.convert_to_tensor(y), y.tolist(), y[:, None]):
        np.testing.assert_array_equal(result(target), expected)


def test_arguments_are_checked():
    with pytest.raises(ValueError, match='`of` must be "mean" or "draws"'):
        TemperatureScaling("logits")
    with pytest.raises(ValueError, match="`score` must be one of"):
        SplitConformalRegressor("lac")
    for coverage in (0.0, 1.0, 90, np.nan):
        with pytest.raises(ValueError, match="`coverage` of SplitConformalRegressor"):
            SplitConformalRegressor(coverage=coverage)
    with pytest.raises(ValueError, match="`num_pieces` of QuantileRecalibration"):
        QuantileRecalibration(0)
