import numpy as np
import pytest
from scipy import stats

from keras_priors import likelihoods
from keras_priors.calibration import SplitConformalRegressor
from keras_priors.calibration.conformal_threshold import conformal_threshold
from keras_priors.metrics import interval_coverage
from keras_priors.predictive import Predictive

RNG = np.random.default_rng(0)
SPLITS, ROWS, NEW = 1000, 25, 40


def predicted(rows):
    """Two draws, and a noise that depends on the row: numbers of a row are simulated splits."""
    mean = RNG.standard_normal((2, rows, SPLITS))
    rho = RNG.standard_normal((2, rows, SPLITS))
    return Predictive(np.concatenate([mean, rho], axis=-1), likelihoods.HeteroscedasticNormal())


def came_true(predictive):
    """From another distribution than was predicted, and with a wider noise."""
    return 0.3 + predictive.mean + 3.0 * predictive.std * RNG.standard_t(3.0, predictive.mean.shape)


def check_coverage(inside, coverage, rows):
    """`inside` (new rows, splits): its mean and its spread over splits are the known ones."""
    k = np.ceil((rows + 1) * coverage - 1e-9)
    # The coverage of a split is Beta(k, n + 1 - k); of m new rows there is a binomial beside it.
    of_split = stats.beta(k, rows + 1 - k)
    p = k / (rows + 1)
    assert of_split.mean() == pytest.approx(p)
    new = len(inside)
    variance = of_split.var() + (p * (1 - p) - of_split.var()) / new
    seen = inside.mean(axis=0)
    splits = len(seen)
    assert abs(seen.mean() - p) < 4 * np.sqrt(variance / splits)
    # The standard error of a variance, for a kurtosis of up to 5.
    assert abs(seen.var() / variance - 1.0) < 4 * np.sqrt(4.0 / splits)


def test_ends_that_would_cross_are_one_point():
    # Far too unsure: 90% of |y| are below 0.09, and the interval of the second row is narrow.
    p = Predictive(np.zeros((1, 99)), likelihoods.Normal(1.0))
    conformal = SplitConformalRegressor("quantile").fit(p, 0.1 * np.linspace(-1.0, 1.0, 99))
    assert conformal.threshold_ < -1.5
    sure = Predictive(np.array([[5.0, -5.0]]), likelihoods.Normal(0.1))
    low, high = conformal.predict(sure)
    np.testing.assert_allclose(low, [5.0, -5.0])
    np.testing.assert_array_equal(low, high)
    low, high = conformal.predict(p)
    np.testing.assert_allclose(high - low, 2 * 0.1 * 45 / 49, rtol=1e-6)  # the 90th of 99
    assert interval_coverage([5.0, 0.0], conformal.predict(sure)) == 0.5


@pytest.mark.parametrize("score", ["absolute", "normalized", "quantile"])
@pytest.mark.parametrize("coverage", [0.8, 0.9])
def test_coverage_over_simulated_splits_is_the_known_one(score, coverage):
    calibration, new = predicted(ROWS), predicted(NEW)
    conformal = SplitConformalRegressor(score, coverage=coverage)
    conformal.fit(calibration, came_true(calibration))
    assert conformal.threshold_.shape == (SPLITS,)
    low, high = conformal.predict(new)
    y = came_true(new)
    check_coverage((y >= low) & (y <= high), coverage, ROWS)
    if score == "absolute":
        np.testing.assert_allclose(high - low, (2 * conformal.threshold_)[None].repeat(NEW, 0))


def test_the_scores_written_out():
    draws = RNG.standard_normal((3, 19, 1))
    p = Predictive(draws, likelihoods.Normal(0.5))
    y = RNG.standard_normal(19)
    mean = draws.mean(axis=0)[:, 0]
    sd = np.sqrt(draws.var(axis=0)[:, 0] + 0.25)
    f = SplitConformalRegressor("absolute", coverage=0.9).fit(p, y)
    assert isinstance(f.threshold_, float)
    np.testing.assert_allclose(f.threshold_, np.sort(np.abs(y - mean))[17], rtol=1e-5)
    low, high = f.predict(p)
    assert low.shape == (19, 1)
    np.testing.assert_allclose(high[:, 0], mean + f.threshold_, rtol=1e-5)
    f = SplitConformalRegressor(coverage=0.9).fit(p, y)
    np.testing.assert_allclose(f.threshold_, np.sort(np.abs(y - mean) / sd)[17], rtol=1e-5)
    low, high = f.predict(p)
    np.testing.assert_allclose(low[:, 0], mean - sd * f.threshold_, rtol=1e-5)
    # The exact quantiles of the mixture, which draws of it would miss by 0.02.
    f = SplitConformalRegressor("quantile", coverage=0.9).fit(p, y)
    low, high = f.predict(p)
    for end, q, sign in ((low, 0.05, 1.0), (high, 0.95, -1.0)):
        at = stats.norm(draws[..., 0], 0.5).cdf(end[:, 0] + sign * f.threshold_).mean(axis=0)
        np.testing.assert_allclose(at, q, rtol=1e-4)
    scores = np.maximum(low[:, 0] + f.threshold_ - y, y - high[:, 0] + f.threshold_)
    np.testing.assert_allclose(np.sort(scores)[17], f.threshold_, rtol=1e-6)


def test_the_intervals_are_those_of_mapie():
    mapie = pytest.importorskip("mapie.regression")
    base = pytest.importorskip("sklearn.base")

    class Column(base.RegressorMixin, base.BaseEstimator):
        """Predicts a column of its input."""

        def __init__(self, column=0):
            self.column = column

        def fit(self, x, y):
            self.fitted_ = True
            return self

        def predict(self, x):
            return x[:, self.column]

    p, new = (Predictive(RNG.standard_normal((4, n)), likelihoods.Normal(0.7)) for n in (60, 20))
    y = 2.0 * RNG.standard_normal(60)

    def columns(predictive):
        from keras_priors.calibration.mixture_levels import at_levels

        z = stats.norm.ppf([[0.1], [0.9]])
        low, high = at_levels(predictive, z)[..., 0]
        return np.stack([predictive.mean, low, high], axis=-1)

    x, x_new = columns(p), columns(new)
    theirs = mapie.SplitConformalRegressor(
        Column().fit(x, y), confidence_level=0.8, conformity_score="absolute", prefit=True
    )
    _, expected = theirs.conformalize(x, y).predict_interval(x_new)
    found = SplitConformalRegressor("absolute", coverage=0.8).fit(p, y).predict(new)
    np.testing.assert_allclose(np.stack(found, axis=-1), expected[..., 0], rtol=1e-5)
    quantiles = [Column(1).fit(x, y), Column(2).fit(x, y), Column(0).fit(x, y)]
    theirs = mapie.ConformalizedQuantileRegressor(quantiles, confidence_level=0.8, prefit=True)
    theirs.conformalize(x, y)
    _, expected = theirs.predict_interval(x_new, symmetric_correction=True)
    found = SplitConformalRegressor("quantile", coverage=0.8).fit(p, y).predict(new)
    np.testing.assert_allclose(np.stack(found, axis=-1), expected[..., 0], rtol=1e-5)


@pytest.mark.parametrize("score", ["absolute", "normalized", "quantile"])
def test_too_few_rows_give_infinite_intervals_and_a_word(score):
    p = Predictive(np.zeros((1, 9)), likelihoods.Normal(1.0))
    y = np.arange(9.0)
    enough = SplitConformalRegressor(score, coverage=0.9).fit(p, y)  # 9 rows are just enough
    assert np.isfinite(enough.threshold_)
    with pytest.warns(UserWarning, match="0.91 takes at least 11 calibration rows. Received: 9"):
        conformal = SplitConformalRegressor(score, coverage=0.91).fit(p, y)
    low, high = conformal.predict(p)
    assert np.all(low == -np.inf)
    assert np.all(high == np.inf)
    one = Predictive(np.zeros((1, 1)), likelihoods.Normal(1.0))
    half = SplitConformalRegressor("absolute", coverage=0.5).fit(one, [3.0])
    assert half.threshold_ == 3.0


def test_ties_are_covered_at_least_as_often():
    p = Predictive(np.zeros((1, 10, 3)), likelihoods.Normal(1.0))
    y = np.repeat([[0.0], [1.0]], 5, axis=0) * np.ones(3)
    conformal = SplitConformalRegressor("absolute", coverage=0.45).fit(p, y)
    np.testing.assert_array_equal(conformal.threshold_, 0.0)  # the fifth of ten
    conformal = SplitConformalRegressor("absolute", coverage=0.5).fit(p, y)
    np.testing.assert_array_equal(conformal.threshold_, 1.0)


def test_without_a_likelihood_counts_and_a_likelihood_of_ones_own():
    y = RNG.standard_normal(30)
    bare = Predictive(RNG.standard_normal((2, 30, 1)))
    low, high = SplitConformalRegressor("absolute").fit(bare, y).predict(bare)
    assert np.mean((y >= low[:, 0]) & (y <= high[:, 0])) >= 27 / 30
    for score in ("normalized", "quantile"):
        with pytest.raises(ValueError, match="needs the likelihood p"):
            SplitConformalRegressor(score).fit(bare, y)
    counts = Predictive(np.full((2, 30), 1.0), likelihoods.Poisson())
    k = stats.poisson(np.e).rvs(30, random_state=0)
    low, high = SplitConformalRegressor("quantile").fit(counts, k).predict(counts)
    assert np.mean((k >= low) & (k <= high)) >= 27 / 30
    np.testing.assert_array_equal(low, np.round(low))

    class Own(likelihoods.Normal):
        """May have any density."""

    own = Predictive(np.zeros((1, 30)), Own(1.0))
    known = Predictive(np.zeros((1, 30)), likelihoods.Normal(1.0))
    found, exact = (SplitConformalRegressor("quantile").fit(p, y).predict(p) for p in (own, known))
    np.testing.assert_allclose(found, exact, rtol=0, atol=0.2)
    assert not np.array_equal(found, exact)  # of draws of y*


def test_a_spread_that_is_none_is_refused():
    wide = Predictive(np.zeros((1, 3)), likelihoods.StudentT(2.0))
    with pytest.raises(ValueError, match=r"finite and above 0\. Received: inf in row 0"):
        SplitConformalRegressor().fit(wide, [0.0, 0.0, 0.0])
    never = Predictive(np.full((1, 3), -1000.0), likelihoods.Poisson())
    with pytest.raises(ValueError, match=r"Received: 0\.0 in row 0"):
        SplitConformalRegressor().fit(never, [0, 0, 0])


def test_steps_are_calibrated_each_by_itself():
    p = Predictive(RNG.standard_normal((2, 40, 3, 2)), likelihoods.Normal(1.0))
    y = RNG.standard_normal((40, 3, 2)) * [[1.0], [5.0], [10.0]]
    conformal = SplitConformalRegressor("quantile", coverage=0.8).fit(p, y)
    assert conformal.threshold_.shape == (3, 2)
    low, high = conformal.predict(p)
    inside = ((y >= low) & (y <= high)).mean(axis=0)
    np.testing.assert_array_equal(inside, 33 / 40)  # the 33rd of 40


def test_the_rank_is_the_exact_one_and_not_that_of_rounded_numbers():
    for n in (1, 9, 19, 24, 49, 99):
        scores = np.arange(1.0, n + 1)
        for percent in range(1, 100):
            k = -(-(n + 1) * percent // 100)
            expected = k if k <= n else np.inf
            assert conformal_threshold(scores, percent / 100) == expected
