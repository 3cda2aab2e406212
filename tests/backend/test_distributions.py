"""The native distributions behind `backend.distribution`, against SciPy, on every backend."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy import stats

from keras_priors import backend

REAL = np.array([-7.0, -0.8, -1e-3, 0.0, 0.3, 1.0, 2.5, 40.0], "float32")
POSITIVE = np.array([1e-3, 0.3, 1.0, 2.5, 40.0], "float32")

# The kinds that torch lacks (and two that it names otherwise): parameters, SciPy's twin, points.
TABLE = [
    (
        "GeneralizedNormal",
        {"loc": 0.2, "scale": 0.8, "power": 1.5},
        stats.gennorm(1.5, 0.2, 0.8),
        REAL,
    ),
    (
        "GeneralizedNormal",
        {"loc": 0.0, "scale": 0.8, "power": 0.7},
        stats.gennorm(0.7, 0.0, 0.8),
        REAL,
    ),
    (
        "TruncatedNormal",
        {"loc": 0.5, "scale": 2.0, "low": -1.0, "high": 3.0},
        stats.truncnorm(-0.75, 1.25, 0.5, 2.0),
        REAL[(REAL > -1.0) & (REAL < 3.0)],
    ),
    (
        "TruncatedNormal",
        {"loc": 0.0, "scale": 1.0, "low": 2.0, "high": 4.0},
        stats.truncnorm(2.0, 4.0),
        np.array([2.1, 3.0, 3.9], "float32"),
    ),
    ("HalfStudentT", {"df": 5.0, "loc": 0.0, "scale": 0.5}, None, POSITIVE),
    ("Logistic", {"loc": 0.2, "scale": 0.7}, stats.logistic(0.2, 0.7), REAL),
    ("HalfCauchy", {"scale": 0.7}, stats.halfcauchy(0.0, 0.7), POSITIVE),
    ("InverseGamma", {"concentration": 3.0, "scale": 0.7}, stats.invgamma(3.0, 0.0, 0.7), POSITIVE),
]
OWN = {"GeneralizedNormal", "TruncatedNormal", "HalfStudentT", "Logistic"}


class HalfT:
    """SciPy has no half Student t."""

    unit = stats.t(5.0, 0.0, 0.5)

    def logpdf(self, w):
        return self.unit.logpdf(w) + np.log(2.0)

    def cdf(self, w):
        return 2.0 * self.unit.cdf(w) - 1.0


def moments(frozen, low, high):
    grid = np.linspace(low, high, 2_000_001)
    density = np.exp(frozen.logpdf(grid)) * (grid[1] - grid[0])
    mean = (grid * density).sum()
    return mean, ((grid - mean) ** 2 * density).sum()


def make(kind, parameters, shape=()):
    tensors = {
        k: ops.convert_to_tensor(np.full(shape, v, "float32")) for k, v in parameters.items()
    }
    return backend.distribution(kind, **tensors)


@pytest.mark.parametrize(("kind", "parameters", "frozen", "points"), TABLE)
def test_density_draws_and_moments(kind, parameters, frozen, points):
    frozen = frozen or HalfT()
    native = make(kind, parameters)
    value = ops.convert_to_numpy(native.log_prob(ops.convert_to_tensor(points)))
    np.testing.assert_allclose(value, frozen.logpdf(points.astype("float64")), rtol=1e-5, atol=1e-5)
    draws = ops.convert_to_numpy(backend.sample(native, (20000,), backend.as_seed(2)))
    assert stats.kstest(draws, frozen.cdf).pvalue > 1e-3
    if kind in OWN:
        mean, variance = moments(frozen, *((-60.0, 60.0) if points.min() < 0 else (0.0, 400.0)))
        if kind == "TruncatedNormal":
            mean, variance = frozen.mean(), frozen.var()
        assert float(backend.mean(native)) == pytest.approx(mean, rel=1e-3, abs=1e-3)
        assert float(backend.variance(native)) == pytest.approx(variance, rel=2e-3)
        cdf = (
            ops.convert_to_numpy(native.cdf(ops.convert_to_tensor(points)))
            if (kind != "HalfStudentT")
            else frozen.cdf(points)
        )
        np.testing.assert_allclose(cdf, frozen.cdf(points.astype("float64")), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["TruncatedNormal", "HalfStudentT"])
def test_outside_the_support_there_is_no_mass(kind):
    parameters = next(row[1] for row in TABLE if row[0] == kind)
    native = make(kind, parameters)
    assert float(native.log_prob(ops.convert_to_tensor(np.float32(-5.0)))) == -np.inf


@pytest.mark.parametrize(("kind", "parameters", "frozen", "points"), TABLE)
def test_batches_keep_their_shape(kind, parameters, frozen, points):
    native = make(kind, parameters, (2, 3))
    assert tuple(native.batch_shape) == (2, 3)
    assert tuple(backend.sample(native, (4,), backend.as_seed(1)).shape) == (4, 2, 3)


def test_deterministic():
    native = backend.distribution("Deterministic", loc=ops.convert_to_tensor([1.0, 2.0]))
    draws = backend.sample(native, (3,), backend.as_seed(0))
    np.testing.assert_array_equal(ops.convert_to_numpy(draws), np.tile([1.0, 2.0], (3, 1)))
    value = ops.convert_to_numpy(native.log_prob(ops.convert_to_tensor([1.0, 2.5])))
    np.testing.assert_array_equal(value, [0.0, -np.inf])
    np.testing.assert_array_equal(ops.convert_to_numpy(backend.variance(native)), [0.0, 0.0])


# TFP on JAX asks for float64 and gets along without.
@pytest.mark.filterwarnings("ignore:Explicitly requested dtype float64")
def test_matrix_normal():
    rng = np.random.default_rng(1)
    a, b = (np.tril(rng.uniform(0.3, 1.0, (n, n))).astype("float32") for n in (3, 2))
    loc, x = (rng.normal(size=(3, 2)).astype("float32") for _ in range(2))
    native = backend.distribution(
        "MatrixNormal",
        loc=ops.convert_to_tensor(loc),
        scale_row=ops.convert_to_tensor(a),
        scale_column=ops.convert_to_tensor(b),
    )
    exact = stats.matrix_normal(loc, a @ a.T, b @ b.T)
    assert tuple(native.event_shape) == (3, 2)
    # Compiled: TFP's matrix normal takes ten seconds on JAX otherwise.
    value = float(backend.compile_function(native.log_prob)(ops.convert_to_tensor(x)))
    assert value == pytest.approx(exact.logpdf(x), rel=1e-4)
    draws = ops.convert_to_numpy(backend.sample(native, (2000,), backend.as_seed(3)))
    covariance = np.kron(a @ a.T, b @ b.T)
    spread = np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)) * 2.0 / 2000)
    assert (np.abs(np.cov(draws.reshape(-1, 6).T) - covariance) < 5 * spread).all()
    np.testing.assert_allclose(ops.convert_to_numpy(backend.mean(native)), loc, rtol=1e-6)


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="torch's own protocol")
def test_torch_distributions_expand_and_differentiate():
    import torch

    for kind, parameters, _, _ in TABLE[:6]:
        tensors = {k: torch.tensor(v, requires_grad=True) for k, v in parameters.items()}
        native = backend.distribution(kind, **tensors)
        assert native.expand((2, 3)).batch_shape == (2, 3)
        native.log_prob(torch.tensor(0.5 if parameters.get("low") != 2.0 else 2.5)).backward()
        assert all(torch.isfinite(tensor.grad) for tensor in tensors.values()), kind
        draw = native.rsample()
        assert draw.requires_grad


def test_only_distribution_classes_are_found():
    assert backend.is_distribution(make("Logistic", {"loc": 0.0, "scale": 1.0}))
    assert backend.distribution_class("Normal").__name__ == "Normal"
    for name in ("os", "kl_divergence", "Normal.__init__", "__name__"):
        with pytest.raises(ValueError, match="Only distribution classes"):
            backend.distribution_class(name)
