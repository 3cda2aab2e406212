"""The method IVON against posteriors that are known."""

import keras
import numpy as np
import pytest
from scipy import integrate, stats

import keras_priors as kp
from keras_priors import backend
from keras_priors.inference.variational.normal_family import NormalFamily
from keras_priors.inference.variational.variational_inference import _all_rows

N, D, NOISE, SPREAD = 60, 3, 0.5, 1.5


@pytest.fixture(scope="module")
def regression():
    """x, y, and the exact posterior mean and precision of a conjugate linear regression."""
    random = np.random.default_rng(1)
    mix = np.eye(D) + 0.4 * random.normal(size=(D, D))
    x = (random.normal(size=(N, D)) @ mix).astype("float32")
    y = (x @ random.normal(size=(D, 1)) + NOISE * random.normal(size=(N, 1))).astype("float32")
    precision = (x.T @ x).astype("float64") / NOISE**2 + np.eye(D) / SPREAD**2
    return x, y, np.linalg.solve(precision, x.T @ y / NOISE**2)[:, 0], precision


def line(width=D, prior=None, **more):
    keras.utils.set_random_seed(3)
    prior = kp.NormalPrior(0, SPREAD) if prior is None else prior
    layer = keras.layers.Dense(1, use_bias=False, kernel_regularizer=prior, name="line", **more)
    return keras.Sequential([keras.Input((width,)), layer])


def fit(method, regression, **more):
    x, y, *_ = regression
    return method.fit(line(), x, y, kp.likelihoods.Normal(NOISE), seed=0, verbose=0, **more)


@pytest.fixture(scope="module")
def found(regression):
    return fit(kp.inference.IVON(600, num_samples=16), regression)


def test_steps_are_those_of_the_algorithm(regression):
    """The formulas of the docstring in float64, on a batch of a third of the rows."""
    x, y = (part[:20].astype("float64") for part in regression[:2])
    method = kp.inference.IVON(4, 0.2, 3, None, 0.3, beta_1=0.8, beta_2=0.95)
    log_posterior = kp.inference.LogPosterior(line(), *regression[:2], kp.likelihoods.Normal(NOISE))
    family = NormalFamily(method._family(D), D, log_posterior.flatten())
    optimizer = method._optimizer(family)
    step = backend.compile_function(method._step_of(log_posterior, family, optimizer, 3.0))
    state = (family.variables, optimizer.variables, keras.ops.zeros(()))
    state = keras.tree.map_structure(keras.ops.convert_to_tensor, state)
    fixed, data = log_posterior.outputs.fixed(), _all_rows(log_posterior)
    units = family.units(family.stddev())
    m, p, v = log_posterior.flatten().astype("float64"), np.full(D, 0.3**-2), np.zeros(D)
    for t, rate in enumerate((0.2, 0.15, 0.05)):
        seed = backend.as_seed(t)
        eps, s = keras.ops.convert_to_numpy(family.noise(seed, 3)), p**-0.5
        z = m + s * eps
        density = 3 * stats.norm(z @ x.T, NOISE).logpdf(y[:, 0]).sum(axis=1)
        density += stats.norm(0, SPREAD).logpdf(z).sum(axis=1)
        elbo = np.mean(density - stats.norm(m, s).logpdf(z).sum(axis=1))
        g = 3 * (z @ x.T - y[:, 0]) @ x / NOISE**2 + z / SPREAD**2
        apart = np.mean(g * eps / s, axis=0) - p
        r = max(1 - 0.95, 1 / (t + 10)) * rate / 0.2
        p = p + r * apart + r**2 * apart**2 / (2 * p)
        v = 0.8 * v + 0.2 * g.mean(axis=0)
        m = m - rate * v / ((1 - 0.8 ** (t + 1)) * p)
        element = seed, keras.ops.arange(20), keras.ops.convert_to_tensor(rate, "float32")
        state = step(state, fixed, data, units, element)
        (loc, rho), _, found = keras.tree.map_structure(keras.ops.convert_to_numpy, state)
        np.testing.assert_allclose(loc, m, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(np.logaddexp(0.0, rho), p**-0.5, rtol=1e-4)
        np.testing.assert_allclose(found, elbo, rtol=1e-4)


def test_it_finds_the_mean_field_optimum(found, regression):
    """Means exact, 1 / sd^2 the diagonal of the precision, and the ELBO that belongs to them."""
    x, y, mean, precision = regression
    sd = np.diag(precision) ** -0.5
    np.testing.assert_array_less(np.abs(found.mean()["line/kernel"][:, 0] - mean), 0.05 * sd)
    np.testing.assert_allclose(found.stddev()["line/kernel"][:, 0], sd, rtol=0.03)
    covariance = NOISE**2 * np.eye(N) + SPREAD**2 * x.astype("float64") @ x.T
    evidence = stats.multivariate_normal(np.zeros(N), covariance).logpdf(y[:, 0])
    gap = 0.5 * (np.log(np.diag(precision)).sum() - np.linalg.slogdet(precision)[1])
    elbo = found.elbo[-200:]
    assert abs(elbo.mean() - (evidence - gap)) < 4 * elbo.std() / 200**0.5 + 0.01


def test_it_goes_on_from_what_it_gave(found, regression):
    """It starts at the optimum, in mean and spread, and stays."""
    again = fit(kp.inference.IVON(100, num_samples=16), regression, resume=found)
    assert again.elbo.shape == (700,)
    first, last = again.elbo[600:610], again.elbo[500:600]
    assert abs(first.mean() - last.mean()) < 4 * last.std() / 10**0.5
    np.testing.assert_array_equal(again.elbo[:600], found.elbo)
    mean, sd = found.mean()["line/kernel"], found.stddev()["line/kernel"]
    np.testing.assert_array_less(np.abs(again.mean()["line/kernel"] - mean), 0.1 * sd)


def test_batches_find_it_too(regression):
    _, _, mean, precision = regression
    posterior = fit(kp.inference.IVON(600, batch_size=20), regression)
    sd = np.diag(precision) ** -0.5
    np.testing.assert_array_less(np.abs(posterior.mean()["line/kernel"][:, 0] - mean), 0.2 * sd)
    np.testing.assert_allclose(posterior.stddev()["line/kernel"][:, 0], sd, rtol=0.1)


def test_a_bounded_weight_is_inferred_without_bounds():
    """The best normal of z = log w, found by quadrature of its two stationary conditions."""
    x, y = np.ones((3, 1), "float32"), np.full((3, 1), 0.7, "float32")
    model = line(1, kp.GammaPrior(2.0, 1.0), kernel_initializer="ones")
    posterior = kp.inference.IVON(1000, num_samples=64).fit(
        model, x, y, kp.likelihoods.Normal(1.0), seed=0, verbose=0
    )
    q = posterior.family
    (m,), (s,) = (keras.ops.convert_to_numpy(v) for v in (q.mean(), q.stddev()))
    q = stats.norm(m, s)

    def expected(function):
        return integrate.quad(lambda z: q.pdf(z) * function(np.exp(z)), m - 8 * s, m + 8 * s)[0]

    # log p = 3 (0.7 w - w^2 / 2) + 2 log w - w as a function of z, with the Jacobian.
    slope = expected(lambda w: 3 * (0.7 * w - w**2) + 2 - w)
    curvature = expected(lambda w: 3 * (0.7 * w - 2 * w**2) - w)
    assert abs(slope) < 0.05
    np.testing.assert_allclose(s**-2.0, -curvature, rtol=0.06)


def test_arguments():
    assert "beta_2=0.99" in repr(kp.inference.IVON())
    for name, value in {"beta_1": 1.0, "beta_2": 0.0, "learning_rate": -1.0}.items():
        with pytest.raises(ValueError, match=name):
            kp.inference.IVON(**{name: value})
