import numpy as np
import pytest
from scipy import integrate, stats

from keras_priors import likelihoods
from keras_priors.calibration import QuantileRecalibration
from keras_priors.predictive import Predictive

RNG = np.random.default_rng(0)
MEAN = 3.0 * RNG.standard_normal(2000)
NOISE = RNG.standard_normal(2000)


@pytest.mark.parametrize("factor", [0.3, 1.0, 3.0, 20.0])
def test_noise_that_is_too_small_by_a_factor_gets_the_factor(factor):
    p = Predictive(MEAN[None], likelihoods.Normal(0.5))
    y = MEAN + 0.5 * factor * NOISE
    recalibration = QuantileRecalibration().fit(p, y)
    (points,) = recalibration.levels_
    assert points.shape == (46, 2)  # 45 pieces, sqrt(2000) = 44.7
    # The points are nearly on the line w = z / factor: a standard error of a median is 0.03.
    inside = np.abs(points[:, 1]) < 2.0
    np.testing.assert_allclose(points[inside, 0] / factor, points[inside, 1], rtol=0, atol=0.15)
    found = recalibration.transform(p)
    new = Predictive(np.array([[1.0, -2.0]]), likelihoods.Normal(0.5))
    found, right = recalibration.transform(new), stats.norm(new.draws[0], 0.5 * factor)
    low, high = found.interval(0.9)
    np.testing.assert_allclose((high - low) / (2 * 1.645 * 0.5 * factor), 1.0, rtol=0, atol=0.08)
    np.testing.assert_allclose(found.mean, right.mean(), rtol=0, atol=0.08 * factor)
    np.testing.assert_allclose(found.std, 0.5 * factor, rtol=0.08)
    y = right.ppf(0.8)
    np.testing.assert_allclose(found.cdf(y), 0.8, rtol=0, atol=4 * np.sqrt(0.16 / 2000))
    # The slope of a piece is that of its 44 rows.
    np.testing.assert_allclose(found.log_prob(y), right.logpdf(y), rtol=0, atol=4 / np.sqrt(44))


def test_the_density_costs_what_its_docstring_says():
    p = Predictive(MEAN[None], likelihoods.Normal(0.5))
    recalibration = QuantileRecalibration().fit(p, MEAN + 1.5 * NOISE)
    y = MEAN + 1.5 * np.random.default_rng(1).standard_normal(2000)
    found = recalibration.transform(p).log_prob(y)
    loss = (stats.norm(MEAN, 1.5).logpdf(y) - found).mean()
    assert -0.01 < loss < 2.5 / (2 * np.sqrt(2000))
    assert (found - p.log_prob(y)).mean() > 1.0


DRAWS = RNG.standard_normal((4, 300, 1))
CASES = {
    "normal": (likelihoods.Normal(0.4), DRAWS),
    "laplace": (likelihoods.Laplace(0.4), DRAWS),
    "student": (likelihoods.StudentT(4.0, 0.4), DRAWS),
    "heteroscedastic": (
        likelihoods.HeteroscedasticNormal(),
        np.concatenate([DRAWS, DRAWS[::-1] - 1.0], axis=-1),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_density_distribution_function_and_quantiles_belong_together(name):
    likelihood, draws = CASES[name]
    p = Predictive(draws, likelihood)
    y = 1.0 + 2.0 * np.random.default_rng(1).standard_normal((300, 1))
    found = QuantileRecalibration(num_pieces=7).fit(p, y).transform(p)
    assert len(np.unique(found.cdf(y))) == 300
    q = np.array([0.02, 0.3, 0.5, 0.77, 0.99])
    at = found.quantile(q)
    assert at.shape == (5, 300, 1)
    for level, each in zip(q, at, strict=True):
        np.testing.assert_allclose(found.cdf(each), level, rtol=0, atol=1e-6)
        np.testing.assert_array_equal(found.quantile(level), each)
    one = Predictive(draws[:, :1], likelihood)
    alone = QuantileRecalibration(num_pieces=7).fit(p, y).transform(one)
    grid = np.linspace(-15.0, 17.0, 4001)
    many = Predictive(np.repeat(draws[:, :1], 4001, axis=1), likelihood)
    many = QuantileRecalibration(num_pieces=7).fit(p, y).transform(many)
    density = np.exp(many.log_prob(grid))
    np.testing.assert_allclose(integrate.trapezoid(density, grid), 1.0, rtol=0, atol=0.01)
    below = integrate.cumulative_trapezoid(density, grid, initial=0.0)
    np.testing.assert_allclose(many.cdf(grid)[:, 0], below, rtol=0, atol=0.01)
    mean = integrate.trapezoid(density * grid, grid)
    np.testing.assert_allclose(alone.mean[0, 0], mean, rtol=0, atol=0.05)
    spread = np.sqrt(integrate.trapezoid(density * (grid - mean) ** 2, grid))
    np.testing.assert_allclose(alone.std[0, 0], spread, rtol=0.05)


def test_at_its_points_the_levels_are_the_ranks():
    p = Predictive(np.zeros((1, 9)), likelihoods.Normal(1.0))
    y = np.sort(NOISE[:9]) ** 3
    found = QuantileRecalibration(num_pieces=8).fit(p, y).transform(p)
    np.testing.assert_allclose(found.cdf(y), np.arange(1, 10) / 10, rtol=1e-6)
    np.testing.assert_allclose(found.quantile(np.arange(1, 10) / 10)[:, 0], y, rtol=1e-6)
    fewer = QuantileRecalibration(num_pieces=2).fit(p, y)
    np.testing.assert_allclose(stats.norm.cdf(fewer.levels_[0][:, 1]), [0.1, 0.5, 0.9], rtol=1e-9)


def test_new_rows_are_inside_as_often_as_said():
    likelihood, draws = CASES["laplace"]
    true = stats.t(3.0, draws.mean(axis=0)[:, 0], 2.0)
    p = Predictive(draws, likelihood)
    found = QuantileRecalibration().fit(p, true.rvs(random_state=0)).transform(p)
    for coverage in (0.5, 0.9):
        low, high = found.interval(coverage)
        y = true.rvs((100, 300), random_state=1)
        inside = ((y >= low[:, 0]) & (y <= high[:, 0])).mean()
        # Of 300 rows that fitted it, and of steps between them.
        assert abs(inside - coverage) < 4 * np.sqrt(coverage * (1 - coverage) / 300) + 0.005


def test_several_numbers_are_each_recalibrated_alone():
    draws = RNG.standard_normal((3, 100, 2))
    y = draws.mean(axis=0) + RNG.standard_normal((100, 2)) * [0.1, 5.0]
    p = Predictive(draws, likelihoods.Normal([0.3, 0.8]))
    both = QuantileRecalibration().fit(p, y)
    found = both.transform(p)
    for k, scale in enumerate([0.3, 0.8]):
        alone = Predictive(draws[..., k : k + 1], likelihoods.Normal(scale))
        one = QuantileRecalibration().fit(alone, y[:, k])
        np.testing.assert_allclose(both.levels_[k], one.levels_[0], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(
            found.quantile([0.2, 0.9])[..., k],
            one.transform(alone).quantile([0.2, 0.9])[..., 0],
            rtol=1e-4,
            atol=1e-5,
        )
    assert found.cdf(y).shape == found.mean.shape == (100, 2)
    with pytest.raises(ValueError, match="`log_prob` needs one number in a row"):
        found.log_prob(y)
    steps = Predictive(draws.reshape(3, 50, 2, 2), likelihoods.Normal([0.3, 0.8]))
    in_steps = QuantileRecalibration().fit(steps, y.reshape(50, 2, 2))
    for one, other in zip(in_steps.levels_, both.levels_, strict=True):
        np.testing.assert_array_equal(one, other)
    assert in_steps.transform(steps).quantile(0.5).shape == (50, 2, 2)


def test_ties_and_one_row():
    p = Predictive(np.zeros((1, 4)), likelihoods.Normal(1.0))
    tied = QuantileRecalibration().fit(p, [2.0, 2.0, 2.0, 2.0]).transform(p)
    np.testing.assert_allclose(tied.quantile(0.5), 2.0, rtol=1e-6)  # all ranks: their mean
    np.testing.assert_allclose(tied.quantile(stats.norm.cdf(1.0)), 3.0, rtol=1e-6)
    pairs = QuantileRecalibration(4).fit(p, [-1.0, -1.0, 1.0, 1.0])
    np.testing.assert_allclose(stats.norm.cdf(pairs.levels_[0][:, 1]), [0.3, 0.7], rtol=1e-9)
    one = Predictive(np.zeros((1, 1)), likelihoods.Normal(1.0))
    moved = QuantileRecalibration().fit(one, [-3.0]).transform(one)
    np.testing.assert_allclose(moved.log_prob([-3.0]), stats.norm.logpdf(0.0), rtol=1e-5)


def test_what_has_no_moments_or_no_density_is_refused():
    heavy = Predictive(np.zeros((1, 3)), likelihoods.StudentT(2.0))
    found = QuantileRecalibration().fit(heavy, [0.0, 1.0, 2.0]).transform(heavy)
    with pytest.raises(ValueError, match="need a likelihood with a variance"):
        found.mean  # noqa: B018
    far = Predictive(np.zeros((1, 2)), likelihoods.Laplace(0.01))
    found = QuantileRecalibration().fit(far, [-3.0, 3.0]).transform(far)
    with pytest.raises(ValueError, match="need quantiles that are finite"):
        found.std  # noqa: B018
    counts = Predictive(np.zeros((1, 2)), likelihoods.Poisson())
    with pytest.raises(ValueError, match=r"outcomes have a density. Received: Poisson"):
        QuantileRecalibration().fit(counts, [0, 1])
    shares = Predictive(np.zeros((1, 2, 2)), likelihoods.Beta())
    with pytest.raises(ValueError, match=r"Received: 1 of 2 outside of its support.*in row 1"):
        QuantileRecalibration().fit(shares, [0.5, 1.5])
    for q in (0.0, 1.0, [[0.5]], np.nan):
        with pytest.raises(ValueError, match="`q` must be a number"):
            found.quantile(q)
