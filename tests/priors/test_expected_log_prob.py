"""E[log p(w)] under independent normals against quadrature in float64."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy import stats

from keras_priors import backend
from keras_priors import priors as p
from tests._gradients import value_and_gradient
from tests.priors._models import every_prior

MEAN = np.array([[0.3, -1.0], [0.0, 2.0], [0.5, 0.1]], "float32")
STDDEV = np.array([[0.5, 1.0], [0.01, 2.0], [1e-3, 0.2]], "float32")
COVARIANCE = np.array([[1.0, 0.4, 0.0], [0.4, 2.0, 0.3], [0.0, 0.3, 0.5]])
COLUMNS = np.array([[1.0, 0.3], [0.3, 0.5]])


def over_normals(logpdf):
    """Sum over the elements of E[logpdf(w)], by a fine trapezoidal rule."""
    z = np.linspace(-12.0, 12.0, 200001)
    total = 0.0
    for m, s in zip(MEAN.ravel().astype("float64"), STDDEV.ravel().astype("float64"), strict=True):
        total += np.sum(stats.norm.pdf(z) * logpdf(m + s * z)) * (z[1] - z[0])
    return total


def quadratic(precision):
    """The mean of a multivariate normal's log density, by E[xxᵀ] = mmᵀ + diag(s^2)."""
    m, s = MEAN.astype("float64").ravel(), STDDEV.astype("float64").ravel()
    second = np.outer(m, m) + np.diag(s**2)
    log_det = np.linalg.slogdet(precision)[1]
    return 0.5 * (log_det - m.size * np.log(2 * np.pi) - np.trace(precision @ second))


def native_normal():
    return p.NormalPrior(0.2, 1.5).distribution((3, 2))


@pytest.mark.parametrize(
    ("prior", "expected"),
    [
        (
            lambda: p.NormalPrior(0.2, 1.5),
            lambda: over_normals(stats.norm(0.2, 1.5).logpdf),
        ),
        (
            lambda: p.LaplacePrior(0.2, 0.7),
            lambda: over_normals(lambda w: -np.abs(w - 0.2) / 0.7 - np.log(1.4)),
        ),
        (
            lambda: p.VarianceScalingPrior(3.0),
            lambda: over_normals(stats.norm(0.0, 1.0).logpdf),
        ),
        (
            lambda: p.VarianceScalingPrior(6.0, family="laplace"),
            lambda: over_normals(lambda w: -np.abs(w) - np.log(2.0)),
        ),
        (
            lambda: p.MultivariateNormalPrior(covariance=COVARIANCE, axis=0),
            lambda: quadratic(np.kron(np.linalg.inv(COVARIANCE), np.eye(2))),
        ),
        (
            lambda: p.MatrixNormalPrior(0.0, COVARIANCE, COLUMNS),
            lambda: quadratic(np.linalg.inv(np.kron(COVARIANCE, COLUMNS))),
        ),
        (
            lambda: p.DistributionPrior(native_normal()),
            lambda: over_normals(stats.norm(0.2, 1.5).logpdf),
        ),
        (
            lambda: p.DistributionPrior(
                backend.distribution("Independent", distribution=native_normal(), ndims=1)
            ),
            lambda: over_normals(stats.norm(0.2, 1.5).logpdf),
        ),
        (
            lambda: p.DistributionPrior(
                p.MultivariateNormalPrior(covariance=COLUMNS).distribution((2,))
            ),
            lambda: quadratic(np.kron(np.eye(3), np.linalg.inv(COLUMNS))),
        ),
    ],
)
def test_expectation(prior, expected):
    prior = prior()
    mean, variance = ops.convert_to_tensor(MEAN), ops.convert_to_tensor(STDDEV**2)
    value = prior.expected_log_prob(mean, variance)
    np.testing.assert_allclose(float(value), expected(), rtol=2e-5)


@pytest.mark.parametrize(
    "prior", [p.NormalPrior(0.3), p.LaplacePrior(0.3), p.VarianceScalingPrior(family="laplace")]
)
@pytest.mark.parametrize("offset", [0.0, 1.0, 1e4])
def test_with_no_variance_it_is_the_density_and_its_gradient(prior, offset):
    mean = np.full((2, 2), 0.3 + offset, "float32")
    zeros = np.zeros_like(mean)
    value, slope = value_and_gradient(
        lambda m: prior.expected_log_prob(m, ops.convert_to_tensor(zeros)), mean
    )
    exact, expected_slope = value_and_gradient(prior.log_prob, mean)
    np.testing.assert_allclose(value, exact, rtol=1e-5)
    np.testing.assert_allclose(slope, expected_slope, rtol=1e-5, atol=1e-6)
    _, in_variance = value_and_gradient(
        lambda v: prior.expected_log_prob(ops.convert_to_tensor(mean), v), zeros
    )
    assert np.isfinite(in_variance).all()


def test_priors_without_a_closed_form_say_so():
    mean, variance = ops.convert_to_tensor(MEAN), ops.convert_to_tensor(STDDEV**2)
    known = set()
    for prior in every_prior():
        value = prior.expected_log_prob(mean, variance)
        if value is not None:
            assert np.isfinite(float(value))
            known.add(type(prior).__name__)
    closed = {
        "LaplacePrior",
        "MatrixNormalPrior",
        "MultivariateNormalPrior",
        "NormalPrior",
        "VarianceScalingPrior",
    }
    if keras.backend.backend() == "torch":
        closed |= {"DistributionPrior"}  # torch has KL(normal‖Gumbel)
    assert known == closed
