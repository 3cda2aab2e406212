"""The log posterior as a pure function, and draws of other libraries as a posterior."""

import keras
import numpy as np
import pytest
from scipy import stats

import keras_priors as kp
from keras_priors import backend
from tests._arviz import az, data_of
from tests.priors._models import every_prior

BACKEND = keras.backend.backend()
NOISE = kp.likelihoods.Normal(1.0)
X = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
Y = X.sum(axis=1, keepdims=True)


def model_with(prior, start=0.5, units=2):
    layer = keras.layers.Dense(
        units,
        use_bias=False,
        kernel_initializer=keras.initializers.Constant(start),
        kernel_regularizer=prior,
        name="line",
    )
    return keras.Sequential([keras.Input((3,)), layer])


def log_posterior_of(prior, **options):
    model = model_with(prior, **options)
    return kp.inference.LogPosterior(model, X, np.tile(Y, (1, model.output_shape[-1])), NOISE)


def slope(function):
    """The gradient of a scalar function, by the backend's own tools, compiled where it compiles."""
    if BACKEND == "jax":
        import jax

        return jax.jit(jax.grad(function))
    if BACKEND == "torch":
        import torch

        return torch.func.grad(function)
    import tensorflow as tf

    @tf.function
    def gradient(z):
        with tf.GradientTape() as tape:
            tape.watch(z)
            value = function(z)
        return tape.gradient(value, z)

    return gradient


@pytest.mark.parametrize("prior", every_prior(), ids=lambda prior: type(prior).__name__)
def test_every_prior_has_a_density_that_several_compiled_functions_share(prior):
    """Values of two programs and a gradient, the first use of each within the other's trace."""
    log_posterior = log_posterior_of(prior)
    function, z = log_posterior.logdensity()
    first = backend.compile_function(lambda z: function(z) + 1.0)
    second = backend.compile_function(lambda z: function(2.0 * z))
    expected = log_posterior(log_posterior.unflatten(z)) + _jacobian(log_posterior, z)
    np.testing.assert_allclose(float(first(z)), expected + 1.0, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(float(second(z)), float(function(2.0 * z)), rtol=1e-5, atol=1e-4)
    steps = 1e-2 * np.eye(len(z), dtype="float32")[0]
    point = keras.ops.convert_to_numpy(z)
    up, down = (float(function(keras.ops.convert_to_tensor(point + s))) for s in (steps, -steps))
    found = keras.ops.convert_to_numpy(slope(function)(z))[0]
    np.testing.assert_allclose(found, (up - down) / 2e-2, rtol=0.02, atol=0.02)


def _jacobian(log_posterior, z):
    return float(log_posterior.positions.constrain(z)[1])


def test_data_that_are_first_read_within_a_trace_serve_outside_of_it():
    log_posterior = log_posterior_of(kp.NormalPrior(0, 1))
    z = keras.ops.convert_to_tensor(log_posterior.flatten())
    values = [
        float(backend.compile_function(lambda z: log_posterior.log_prob(z, log_posterior.data))(z))
        for _ in range(2)
    ]
    values.append(float(log_posterior.log_prob(z, log_posterior.data)))
    np.testing.assert_allclose(values, log_posterior(), rtol=1e-5)


def test_a_mapping_is_the_vector_in_parts():
    log_posterior = log_posterior_of(kp.GammaPrior(2.0, 1.0))
    function, z = log_posterior.logdensity()
    of_parts, parts = log_posterior.logdensity(flat=False)
    assert {path: tuple(part.shape) for path, part in parts.items()} == {"line/kernel": (3, 2)}
    np.testing.assert_allclose(float(of_parts(parts)), float(function(z)), rtol=1e-6)
    x = np.float32(0.5)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(z), np.log(x), rtol=1e-5)


@pytest.mark.skipif(BACKEND == "tensorflow", reason="jax.vmap or torch.func.vmap")
def test_it_is_mapped_over_points():
    function, z = log_posterior_of(kp.NormalPrior(0, 1)).logdensity()
    if BACKEND == "jax":
        from jax import vmap
    else:
        from torch.func import vmap
    points = keras.ops.stack([z, 2.0 * z])
    found = keras.ops.convert_to_numpy(vmap(function)(points))
    np.testing.assert_allclose(found, [float(function(p)) for p in points], rtol=1e-5)


@pytest.fixture(scope="module")
def bounded():
    """A log posterior of positive weights, and draws of it as z and as weights."""
    log_posterior = log_posterior_of(kp.GammaPrior(2.0, 1.0), units=1)
    z = np.random.default_rng(1).normal(size=(2, 5, 3)).astype("float32")
    return log_posterior, z, np.exp(z)[..., None]


def test_draws_come_back_in_every_form(bounded):
    log_posterior, z, weights = bounded
    of = kp.inference.SamplePosterior.from_draws
    found = [
        of(log_posterior, z),
        of(log_posterior, {"line/kernel": weights}),
        of(log_posterior, {"line/kernel": z[..., None]}, unconstrained=True),
        of(log_posterior, data_of(posterior={"line_kernel": weights, "other": z})),
        of(log_posterior, data_of(posterior={"line.kernel": weights}).posterior),
        of(log_posterior, az.convert_to_dataset({"line.kernel": weights})),
    ]
    for posterior in found:
        assert (posterior.num_chains, posterior.num_draws) == (2, 5)
        np.testing.assert_allclose(
            posterior.draws()["line/kernel"], weights.reshape(10, 3, 1), rtol=1e-5
        )
    one = of(log_posterior, z[0])
    assert (one.num_chains, one.num_draws) == (1, 5)


def test_they_predict_compare_and_are_saved(bounded, tmp_path):
    log_posterior, z, weights = bounded
    posterior = kp.inference.Posterior.from_draws(log_posterior, z)
    assert type(posterior) is kp.inference.SamplePosterior
    mean = posterior.predict(X, verbose=0).mean
    np.testing.assert_allclose(mean, X @ weights.reshape(10, 3).mean(axis=0)[:, None], rtol=1e-4)
    nll = kp.compare({"theirs": posterior}, X, Y)["theirs"]["nll"]
    density = stats.norm(X @ weights.reshape(10, 3).T, 1.0).pdf(Y).mean(axis=1)
    np.testing.assert_allclose(nll, -np.log(density).mean(), rtol=1e-4)
    posterior.save(tmp_path / "theirs.posterior")
    loaded = kp.inference.Posterior.load(tmp_path / "theirs.posterior")
    np.testing.assert_array_equal(loaded.draws()["line/kernel"], posterior.draws()["line/kernel"])


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda z: z[..., :2], r"\(chains, draws, 3\)"),
        (lambda z: z[0, 0], r"\(chains, draws, 3\)"),
        (lambda z: np.full_like(z, np.nan), "finite"),
        (lambda z: z.astype(str), "finite numbers"),
        (lambda z: {"line": z[..., None]}, r"none of \['line/kernel'\]"),
        (lambda z: {"line/kernel": z}, r"\(chains, draws, \*\(3, 1\)\)"),
        (lambda z: {"line/kernel": z[..., None]}, "unconstrained=True"),
        (lambda z: z[:, :0], r"\(chains, draws, 3\)"),
    ],
)
def test_draws_that_do_not_fit_are_refused(bounded, change, words):
    log_posterior, z, _ = bounded
    with pytest.raises(ValueError, match=words):
        kp.inference.SamplePosterior.from_draws(log_posterior, change(z))
