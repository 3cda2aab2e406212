"""Multivariate and matrix normal priors, the width-aware prior: against SciPy and Keras."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy import stats

from keras_priors import backend
from keras_priors import priors as p
from tests._gradients import value_and_gradient

RNG = np.random.default_rng(4)
FACTOR = np.linalg.cholesky(np.cov(RNG.normal(size=(4, 40))) + 0.1 * np.eye(4))
COVARIANCE = FACTOR @ FACTOR.T
GIVEN = {
    "covariance": COVARIANCE,
    "scale_tril": FACTOR,
    "precision": np.linalg.inv(COVARIANCE),
}
LOC = np.array([0.1, -0.2, 0.3, 0.0])


@pytest.mark.parametrize("given", GIVEN)
@pytest.mark.parametrize(
    ("shape", "axis"), [((4,), -1), ((3, 4), -1), ((4, 3), 0), ((2, 4, 3), 1), ((2, 4, 3), -2)]
)
def test_multivariate_normal(given, shape, axis):
    prior = p.MultivariateNormalPrior(LOC, **{given: GIVEN[given]}, axis=axis)
    w = RNG.normal(size=shape).astype("float32")
    vectors = np.moveaxis(w.astype("float64"), axis, -1).reshape(-1, 4)
    frozen = stats.multivariate_normal(LOC, COVARIANCE)
    expected = np.sum(frozen.logpdf(vectors))
    value, gradient = value_and_gradient(prior.log_prob, w)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    slope = -(vectors - LOC) @ np.linalg.inv(COVARIANCE)
    slope = np.moveaxis(slope.reshape(np.moveaxis(w, axis, -1).shape), -1, axis)
    np.testing.assert_allclose(gradient, slope, rtol=2e-4, atol=2e-4)
    native = prior.distribution(shape)
    assert tuple(native.event_shape) == (4,)
    total = ops.sum(native.log_prob(ops.convert_to_tensor(np.moveaxis(w, axis, -1))))
    np.testing.assert_allclose(float(total), expected, rtol=1e-4)
    assert tuple(prior.sample(shape, seed=1).shape) == shape
    assert not prior.factorized


def test_draws_have_the_covariance_along_the_axis():
    draws = ops.convert_to_numpy(
        p.MultivariateNormalPrior(LOC, COVARIANCE, axis=0).sample((4, 40000), seed=2)
    )
    spread = np.sqrt(np.outer(np.diag(COVARIANCE), np.diag(COVARIANCE)) / 40000)
    assert (np.abs(draws.mean(axis=1) - LOC) < 5 * np.sqrt(np.diag(COVARIANCE) / 40000)).all()
    assert (np.abs(np.cov(draws) - COVARIANCE) < 5 * np.sqrt(2) * spread).all()


# TFP on JAX asks for float64 and gets along without.
@pytest.mark.filterwarnings("ignore:Explicitly requested dtype float64")
def test_matrix_normal():
    rows, columns = COVARIANCE, np.array([[1.0, 0.3], [0.3, 0.5]])
    loc = RNG.normal(size=(4, 2))
    w = RNG.normal(size=(4, 2)).astype("float32")
    expected = stats.matrix_normal(loc, rows, columns).logpdf(w.astype("float64"))
    priors = [
        p.MatrixNormalPrior(loc, rows, columns),
        p.MatrixNormalPrior(
            loc, row_scale_tril=FACTOR, column_scale_tril=np.linalg.cholesky(columns)
        ),
    ]
    for prior in priors:
        value, gradient = value_and_gradient(prior.log_prob, w)
        np.testing.assert_allclose(value, expected, rtol=1e-5)
        slope = -np.linalg.solve(rows, w - loc) @ np.linalg.inv(columns)
        np.testing.assert_allclose(gradient, slope, rtol=2e-4, atol=2e-4)
        native = prior.distribution((4, 2))
        assert tuple(native.event_shape) == (4, 2)
        # Compiled: TFP's matrix normal takes ten seconds on JAX otherwise.
        native_value = backend.compile_function(native.log_prob)(ops.convert_to_tensor(w))
        np.testing.assert_allclose(float(native_value), expected, rtol=1e-4)
        assert not prior.factorized


def test_draws_of_a_matrix_normal_have_its_covariances():
    columns = np.array([[1.0, 0.3], [0.3, 0.5]])
    prior = p.MatrixNormalPrior(0.0, COVARIANCE, columns)
    seeds = range(2000)
    draws = np.array([ops.convert_to_numpy(prior.sample((4, 2), seed=s)).ravel() for s in seeds])
    exact = np.kron(COVARIANCE, columns)
    error = np.sqrt(2.0 * np.outer(np.diag(exact), np.diag(exact)) / len(draws))
    assert (np.abs(np.cov(draws.T) - exact) < 5 * error).all()


@pytest.mark.parametrize("mode", ["fan_in", "fan_out", "fan_avg"])
@pytest.mark.parametrize("shape", [(), (7,), (50, 10), (3, 50, 10), (3, 3, 8, 16), (2, 3, 4, 5, 6)])
def test_variance_scaling_has_the_spread_of_keras_initializer(mode, shape):
    keras.utils.set_random_seed(3)
    scale = 2.0
    limit = keras.initializers.VarianceScaling(scale, mode, "uniform", seed=1)
    stddev = p.VarianceScalingPrior(scale, mode).stddev(shape)
    # A uniform in +-sqrt(3) stddev: its draws never leave it, and come near its ends.
    largest = np.abs(ops.convert_to_numpy(limit(shape))).max()
    assert largest <= np.sqrt(3.0) * stddev * (1 + 1e-6)
    if np.prod(shape) >= 100:
        assert largest > 0.95 * np.sqrt(3.0) * stddev


@pytest.mark.parametrize(
    ("family", "df", "frozen"),
    [
        ("normal", None, lambda s: stats.norm(0.0, s)),
        ("laplace", None, lambda s: stats.laplace(0.0, s / np.sqrt(2.0))),
        ("student_t", None, lambda s: stats.t(3.0, 0.0, s / np.sqrt(3.0))),
        ("student_t", 5.0, lambda s: stats.t(5.0, 0.0, s * np.sqrt(3.0 / 5.0))),
    ],
)
def test_variance_scaling_families_share_the_standard_deviation(family, df, frozen):
    prior = p.VarianceScalingPrior(2.0, "fan_in", family, df)
    reference = frozen(np.sqrt(2.0 / 8.0))
    assert reference.std() == pytest.approx(0.5)
    w = RNG.normal(size=(8, 5)).astype("float32")
    expected = reference.logpdf(w.astype("float64")).sum()
    np.testing.assert_allclose(float(prior.log_prob(w)), expected, rtol=1e-5)
    native = prior.distribution((8, 5))
    np.testing.assert_allclose(
        float(ops.sum(native.log_prob(ops.convert_to_tensor(w)))), expected, rtol=1e-5
    )
    draws = ops.convert_to_numpy(prior.sample((8, 3000), seed=1)).ravel()
    assert stats.kstest(draws, reference.cdf).pvalue > 1e-3


FAR = [1e-30, 1e-8, 50.0, 1e4]


@pytest.mark.parametrize("size", FAR)
def test_correlated_priors_are_exact_far_in_the_tails(size):
    w = (size * np.array([[1.0, -0.5], [0.3, 2.0], [-1.0, 0.1], [0.7, 0.7]])).astype("float32")
    exact = w.astype("float64")
    prior = p.MultivariateNormalPrior(LOC, COVARIANCE, axis=0)
    expected = stats.multivariate_normal(LOC, COVARIANCE).logpdf(exact.T).sum()
    np.testing.assert_allclose(float(prior.log_prob(w)), expected, rtol=1e-5)
    columns = np.array([[1.0, 0.3], [0.3, 0.5]])
    prior = p.MatrixNormalPrior(0.0, COVARIANCE, columns)
    expected = stats.matrix_normal(None, COVARIANCE, columns).logpdf(exact)
    np.testing.assert_allclose(float(prior.log_prob(w)), expected, rtol=1e-5)


@pytest.mark.parametrize("size", FAR)
@pytest.mark.parametrize(
    ("family", "frozen"),
    [
        ("laplace", stats.laplace(0.0, 0.5 / np.sqrt(2.0))),
        ("student_t", stats.t(3.0, 0.0, 0.5 / np.sqrt(3.0))),
    ],
)
def test_variance_scaling_families_are_exact_far_in_the_tails(family, frozen, size):
    prior = p.VarianceScalingPrior(2.0, "fan_in", family)  # of 8 inputs: stddev 0.5
    w = np.full((8, 1), size, "float32")
    w[1::2] *= -1.0
    exact = w.astype("float64")
    if family == "laplace":  # SciPy takes the logarithm of a density that underflows
        scale = 0.5 / np.sqrt(2.0)
        expected = np.sum(-np.abs(exact) / scale - np.log(2.0 * scale))
    else:
        expected = frozen.logpdf(exact).sum()
    np.testing.assert_allclose(float(prior.log_prob(w)), expected, rtol=1e-5)


def test_whitened_draws_of_correlated_priors_are_standard_normals():
    unmix = np.linalg.inv(FACTOR)
    prior = p.MultivariateNormalPrior(LOC, COVARIANCE, axis=0)
    draws = ops.convert_to_numpy(prior.sample((4, 20000), seed=5)).astype("float64")
    white = unmix @ (draws - LOC[:, None])
    # One matrix with many rows: their covariance is the identity, so that they are draws.
    columns = np.array([[1.0, 0.3], [0.3, 0.5]])
    many = p.MatrixNormalPrior(0.0, np.eye(300), columns)
    other = ops.convert_to_numpy(many.sample((300, 2), seed=5)).astype("float64")
    other = np.linalg.solve(np.linalg.cholesky(columns), other.T)
    for marginal in [*white, *other]:
        assert stats.kstest(marginal, stats.norm.cdf).pvalue > 1e-3
    correlation = np.corrcoef(white) - np.eye(4)
    assert np.abs(correlation).max() < 4.0 / np.sqrt(20000)
    assert abs(np.corrcoef(other)[0, 1]) < 4.0 / np.sqrt(300)
