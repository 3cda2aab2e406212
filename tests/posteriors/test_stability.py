"""Any value of the unconstrained scale gives finite values and gradients."""

import numpy as np
import pytest
from keras import ops

from keras_priors import priors
from keras_priors.posteriors.scale import log_softplus, softplus_inverse
from tests.posteriors._calculus import as_numpy, value_and_gradient
from tests.posteriors._families import NORMAL, SPREAD, make, raw_values, softplus

EXTREMES = [-200.0, -30.0, 0.0, 30.0, 200.0]


def at(family, rho):
    """The family with all its unconstrained scales at `rho`."""
    posterior, variables = make(family)
    for part, variable in variables.items():
        shape = tuple(variable.shape)
        if part == "rho":
            variable.assign(np.full(shape, rho, "float32"))
        elif part.startswith("scale_"):
            off = as_numpy(variable) * (1 - np.eye(shape[0]))
            variable.assign((off + rho * np.eye(shape[0])).astype("float32"))
    return posterior, variables


def assert_finite(function, variables):
    value, gradients = value_and_gradient(function, list(variables.values()))
    assert np.isfinite(value)
    for part, gradient in zip(variables, gradients, strict=True):
        assert np.isfinite(gradient).all(), part
    return value, dict(zip(variables, gradients, strict=True))


@pytest.mark.parametrize("rho", EXTREMES)
@pytest.mark.parametrize("family", NORMAL)
def test_samples_are_finite(family, rho):
    posterior, variables = at(family, rho)
    assert_finite(lambda: ops.sum(posterior.sample(seed=0)), variables)


@pytest.mark.parametrize("rho", [-200.0, -30.0, 0.0, 2.0])
def test_samples_of_the_log_normal_are_finite(rho):
    # exp(30 * noise) is beyond float32 whoever computes it.
    posterior, variables = at("log_normal", rho)
    assert_finite(lambda: ops.sum(posterior.sample(seed=0)), variables)


def log_det(family, variables):
    """log of the determinant of the scale where off-diagonal parts do not matter to it."""
    raw = raw_values(variables)
    if family == "matrix_normal":
        row, column = np.diag(raw["scale_row"]), np.diag(raw["scale_column"])
        return 2 * log_softplus_64(row).sum() + 3 * log_softplus_64(column).sum()
    if family == "full":
        return log_softplus_64(np.diag(raw["scale_tril"])).sum()
    if family == "log_normal":
        return log_softplus_64(raw["rho"]).sum() + raw["loc"].sum()
    diagonal = log_softplus_64(raw["rho"])
    if family == "mean_field":
        return diagonal.sum()
    factor = raw["factor"].reshape(len(raw["factor"]), -1)
    # Eigenvalues of B'B do not mind the size of the diagonal, which is the same for all.
    eigenvalues = np.linalg.eigvalsh(factor @ factor.T)
    log_scale = diagonal.reshape(-1)[0]
    capacitance = np.logaddexp(0.0, np.log(eigenvalues) - 2 * log_scale).sum()
    return diagonal.sum() + 0.5 * capacitance


def log_softplus_64(x):
    return np.where(x < -30.0, x, np.log(softplus(np.maximum(x, -30.0))))


@pytest.mark.parametrize("rho", EXTREMES)
@pytest.mark.parametrize("family", SPREAD)
def test_entropies_are_finite_and_right(family, rho):
    posterior, variables = at(family, rho)
    value, gradients = assert_finite(posterior.entropy, variables)
    expected = log_det(family, variables) + 3 * np.log(2 * np.pi * np.e)
    np.testing.assert_allclose(value, expected, rtol=1e-4)
    if family == "mean_field" and rho < -20:
        # d log softplus(rho) / d rho tends to 1: the entropy can pull a collapsed scale back.
        np.testing.assert_allclose(gradients["rho"], 1.0, rtol=1e-5)


@pytest.mark.parametrize("rho", EXTREMES)
@pytest.mark.parametrize("family", SPREAD)
def test_kls_are_finite(family, rho):
    posterior, variables = at(family, rho)
    prior = priors.LogNormalPrior() if family == "log_normal" else priors.NormalPrior()
    assert_finite(lambda: posterior.kl(prior), variables)


def test_log_softplus_on_a_grid():
    x = np.concatenate([np.linspace(-200, 200, 401), np.linspace(-16, -14, 201)]).astype("float32")
    np.testing.assert_allclose(as_numpy(log_softplus(x)), log_softplus_64(x), rtol=2e-6, atol=1e-6)


def test_softplus_inverse():
    y = np.array([1e-12, 1e-6, 0.1, 1.0, 20.0, 1e4])
    np.testing.assert_allclose(softplus(softplus_inverse(y)), y, rtol=1e-12)
