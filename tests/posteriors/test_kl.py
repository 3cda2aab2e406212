"""KL(q‖p) against SciPy: in closed form, or by integrals over the marginals of q."""

import keras
import numpy as np
import pytest
import scipy.integrate
import scipy.stats
from keras import ops

import keras_priors as kp
from keras_priors import backend, priors
from tests.posteriors._calculus import as_numpy, over_seeds, standard_errors
from tests.posteriors._families import (
    FAMILIES,
    NORMAL,
    SPREAD,
    make,
    normal_parameters,
    raw_values,
    scipy_entropy,
)

LOCS = np.array([[0.1, -0.3], [0.0, 0.5], [1.0, 0.2]])
SCALES = np.array([[0.7, 1.3], [1.0, 2.0], [0.5, 0.9]])


def normal_kl(mean_q, covariance_q, mean_p, covariance_p):
    """KL of two multivariate normals, from the textbook."""
    precision = np.linalg.inv(covariance_p)
    shift = mean_p - mean_q
    log_dets = np.linalg.slogdet(covariance_p)[1] - np.linalg.slogdet(covariance_q)[1]
    quadratic = np.trace(precision @ covariance_q) + shift @ precision @ shift
    return 0.5 * (quadratic - len(shift) + log_dets)


@pytest.mark.parametrize(
    "parameters", [(0.0, 1.0), (0.3, 0.7), (LOCS, SCALES)], ids=["01", "b", "array"]
)
@pytest.mark.parametrize("family", NORMAL)
def test_normal_under_a_normal_prior(family, parameters):
    posterior, variables = make(family)
    prior = priors.NormalPrior(*parameters)
    mean, covariance = normal_parameters(family, raw_values(variables))
    loc, scale = (np.broadcast_to(p, (3, 2)).reshape(-1) for p in parameters)
    expected = normal_kl(mean, covariance, loc, np.diag(scale**2))
    assert posterior.kl_is_exact(prior)
    value = posterior.kl(prior)
    assert tuple(value.shape) == ()
    np.testing.assert_allclose(float(as_numpy(value)), expected, rtol=1e-5)


@pytest.mark.parametrize("parameters", [(0.0, 1.0), (LOCS, SCALES)], ids=["01", "array"])
def test_log_normal_under_a_log_normal_prior(parameters):
    posterior, variables = make("log_normal")
    prior = priors.LogNormalPrior(*parameters)
    mean, covariance = normal_parameters("log_normal", raw_values(variables))
    loc, scale = (np.broadcast_to(p, (3, 2)).reshape(-1) for p in parameters)
    # The KL does not change when both variables go through the same exponential.
    expected = normal_kl(mean, covariance, loc, np.diag(scale**2))
    assert posterior.kl_is_exact(prior)
    np.testing.assert_allclose(float(as_numpy(posterior.kl(prior))), expected, rtol=1e-5)


def test_a_point_pays_its_negative_log_density():
    posterior, variables = make("delta")
    expected = -scipy.stats.norm(0.3, 0.7).logpdf(raw_values(variables)["loc"]).sum()
    prior = priors.NormalPrior(0.3, 0.7)
    assert posterior.kl_is_exact(prior)
    np.testing.assert_allclose(float(as_numpy(posterior.kl(prior))), expected, rtol=1e-5)


@pytest.mark.closed_form
@pytest.mark.slow
@pytest.mark.parametrize("family", NORMAL)
def test_multivariate_normal_prior(family):
    rng = np.random.default_rng(0)
    factor = rng.normal(size=(3, 3))
    covariance_p = factor @ factor.T + np.eye(3)
    loc = np.array([0.1, -0.2, 0.3])
    prior = priors.MultivariateNormalPrior(loc, covariance=covariance_p, axis=0)
    posterior, variables = make(family)
    mean, covariance = normal_parameters(family, raw_values(variables))
    # Each column of the (3, 2) weight is one event; row-major flattening.
    whole = np.kron(covariance_p, np.eye(2))
    expected = normal_kl(mean, covariance, np.repeat(loc, 2), whole)
    check(posterior, prior, expected)


def check(posterior, prior, expected, draws=1000):
    if posterior.kl_is_exact(prior):
        np.testing.assert_allclose(float(as_numpy(posterior.kl(prior))), expected, rtol=1e-4)
        return
    samples = over_seeds(lambda seed: posterior.kl(prior, seed=seed), draws)
    assert samples.std() > 0
    assert standard_errors(samples, expected) < 4


class Laplace:
    """SciPy takes the logarithm of a density that underflows."""

    def __init__(self, loc, scale):
        self.loc, self.scale = loc, scale

    def mean(self):
        return self.loc

    def logpdf(self, w):
        return -np.abs(w - self.loc) / self.scale - np.log(2 * self.scale)


def table():
    """Prior, SciPy's log density, and the families whose draws it takes."""
    t = scipy.stats
    return {
        "normal": (priors.NormalPrior(0.3, 0.7), t.norm(0.3, 0.7), ["log_normal"]),
        "laplace": (priors.LaplacePrior(0.2, 0.6), Laplace(0.2, 0.6), SPREAD),
        "student_t": (priors.StudentTPrior(4.0, 0.1, 0.5), t.t(4.0, 0.1, 0.5), SPREAD),
        "cauchy": (priors.CauchyPrior(0.1, 0.5), t.cauchy(0.1, 0.5), SPREAD),
        "logistic": (priors.LogisticPrior(0.1, 0.5), t.logistic(0.1, 0.5), SPREAD),
        "half_normal": (priors.HalfNormalPrior(1.5), t.halfnorm(scale=1.5), ["log_normal"]),
        "gamma": (priors.GammaPrior(2.0, 1.5), t.gamma(2.0, scale=1 / 1.5), ["log_normal"]),
        "exponential": (priors.ExponentialPrior(1.5), t.expon(scale=1 / 1.5), ["log_normal"]),
    }


def expected_log_prob(family, raw, law):
    """E[log p(w)], one integral for each element: an element's law under q is (log-)normal."""
    loc, covariance = normal_parameters(family, raw)
    total = 0.0
    for mean, variance in zip(loc, np.diag(covariance), strict=True):
        scale = np.sqrt(variance)

        def integrand(z, mean=mean, scale=scale):
            w = mean + scale * z
            w = np.exp(w) if family == "log_normal" else w
            return law.logpdf(w) * np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi)

        kink = (law.mean() - mean) / scale if np.isfinite(law.mean()) else 0.0
        kink = [kink] if -10 < kink < 10 else [0.0]
        total += scipy.integrate.quad(integrand, -10, 10, points=kink, limit=200)[0]
    return total


TABLE = table()
PAIRS = [(name, family) for name, (_, _, families) in TABLE.items() for family in families]


@pytest.mark.closed_form
@pytest.mark.slow
@pytest.mark.parametrize("name, family", PAIRS)
def test_priors_without_a_textbook_kl(name, family):
    prior, law, _ = TABLE[name]
    posterior, variables = make(family)
    raw = raw_values(variables)
    expected = -scipy_entropy(family, raw) - expected_log_prob(family, raw, law)
    check(posterior, prior, expected)


def test_more_samples_lower_the_variance():
    posterior, _ = make("low_rank_3")
    prior = priors.StudentTPrior(4.0, 0.0, 0.5)

    def spread(num_samples):
        return over_seeds(lambda s: posterior.kl(prior, s, num_samples), 400, start=7).std()

    # Sixteen independent draws have a quarter of the spread; that of a spread is 3.5% each.
    assert 3.3 < spread(1) / spread(16) < 4.8


@pytest.mark.parametrize("family", FAMILIES)
def test_kl_is_zero_only_where_nothing_was_learned(family):
    if family in ("delta", "log_normal"):
        pytest.skip("not a normal")
    posterior, variables = make(family)
    # At q = p.
    for part, variable in variables.items():
        shape = tuple(variable.shape)
        one = np.log(np.expm1(1.0))
        if part in ("loc", "factor"):
            variable.assign(np.zeros(shape, "float32"))
        else:
            value = np.full(shape, one) if part == "rho" else one * np.eye(shape[0])
            variable.assign(value.astype("float32"))
    np.testing.assert_allclose(float(as_numpy(posterior.kl(priors.NormalPrior()))), 0.0, atol=2e-6)


def test_a_divergence_after_a_draw_is_that_of_the_weights_as_they_are():
    # On PyTorch the divergence takes the scale over from the draw of the same step.
    layer = kp.VariationalDense(3, num_data=10, seed=0)
    layer.build((None, 2))
    x, rho = np.ones((4, 2), "float32"), layer.kernel_posterior.rho
    expected = []
    for value in (-1.0, 0.5):
        rho.assign(np.full((2, 3), value))
        expected.append(float(keras.ops.convert_to_numpy(layer.kl())))
    for drawn in (-1.0, 0.5):
        rho.assign(np.full((2, 3), drawn))
        layer(x, training=True)
        rho.assign(np.full((2, 3), 0.5))
        actual = keras.ops.convert_to_numpy(layer.kl())
        np.testing.assert_allclose(actual, expected[1], rtol=1e-6)


def correlated_priors():
    """A prior that couples elements and the covariance that it gives a flattened (3, 2) weight."""
    rng = np.random.default_rng(0)
    rows, columns = rng.normal(size=(3, 3)), rng.normal(size=(2, 2))
    rows, columns = rows @ rows.T + np.eye(3), columns @ columns.T + np.eye(2)
    along = np.array([0.1, -0.2, 0.3])
    return {
        "along_rows": (
            priors.MultivariateNormalPrior(along, covariance=rows, axis=0),
            np.repeat(along, 2),
            np.kron(rows, np.eye(2)),
        ),
        "along_columns": (
            priors.MultivariateNormalPrior(0.1, covariance=columns, axis=-1),
            np.full(6, 0.1),
            np.kron(np.eye(3), columns),
        ),
        "matrix": (
            priors.MatrixNormalPrior(0.2, row_covariance=rows, column_covariance=columns),
            np.full(6, 0.2),
            np.kron(rows, columns),
        ),
    }


@pytest.mark.parametrize("prior", ["along_rows", "along_columns", "matrix"])
@pytest.mark.parametrize("family", ["mean_field", "full", "low_rank_1", "low_rank_3"])
def test_normals_under_a_prior_that_couples_are_exact(family, prior):
    prior, loc, covariance_p = correlated_priors()[prior]
    posterior, variables = make(family)
    mean, covariance = normal_parameters(family, raw_values(variables))
    assert posterior.kl_is_exact(prior)
    expected = normal_kl(mean, covariance, loc, covariance_p)
    np.testing.assert_allclose(float(as_numpy(posterior.kl(prior))), expected, rtol=1e-4)


def test_the_libraries_own_divergences_are_used():
    posterior, variables = make("log_normal")
    loc, covariance = normal_parameters("log_normal", raw_values(variables))
    native = backend.distribution(
        "LogNormal",
        loc=ops.convert_to_tensor(0.3, dtype="float32"),
        scale=ops.convert_to_tensor(0.7, dtype="float32"),
    )
    prior = priors.DistributionPrior(native)
    assert posterior.kl_is_exact(prior)
    expected = normal_kl(loc, covariance, np.full(6, 0.3), 0.49 * np.eye(6))
    np.testing.assert_allclose(float(as_numpy(posterior.kl(prior))), expected, rtol=1e-5)


def test_a_vector_under_the_libraries_multivariate_normal_is_exact():
    rng = np.random.default_rng(1)
    tril = np.tril(rng.normal(size=(3, 3)), -1) + np.diag([0.5, 1.0, 2.0])
    posterior, variables = make("full", shape=(3,))
    mean, covariance = normal_parameters("full", raw_values(variables))
    native = backend.distribution(
        "MultivariateNormalTriL",
        loc=ops.zeros(3),
        scale_tril=ops.convert_to_tensor(tril, dtype="float32"),
    )
    prior = priors.DistributionPrior(native)
    assert posterior.kl_is_exact(prior)
    expected = normal_kl(mean, covariance, np.zeros(3), tril @ tril.T)
    np.testing.assert_allclose(float(as_numpy(posterior.kl(prior))), expected, rtol=1e-4)
