"""A Keras model as a part of a NumPyro model."""

import keras
import numpy as np
import pytest

import keras_priors as kp
from tests.bridges._nets import (
    NOISE,
    X,
    Y,
    assert_exact,
    assert_same_predictions,
    line,
    net,
    small_problem,
)
from tests.priors._models import every_prior, wide_model

if keras.backend.backend() != "jax":
    pytest.skip("NumPyro is on JAX", allow_module_level=True)

numpyro = pytest.importorskip("numpyro", reason="no NumPyro", exc_type=ModuleNotFoundError)

import jax  # noqa: E402
from numpyro import handlers, infer  # noqa: E402

bridge = kp.bridges.numpyro


def regression(model, sd=0.5, priors=None):
    """y ~ N(f(x), sd^2) for a Keras model f."""

    def of_rows(x, y=None):
        f = bridge.random_model(model, priors)(x)
        numpyro.sample("y", numpyro.distributions.Normal(f, sd).to_event(2), obs=y)

    return of_rows


def test_every_prior_is_a_site_of_its_density_in_the_unbounded_space():
    """NumPyro's potential at some z is our density: supports and Jacobians are the same."""
    model = wide_model(every_prior(), kernel=0.4)
    x, y = np.zeros((2, 3), "float32"), np.zeros((2, 2), "float32")
    log_posterior = kp.inference.LogPosterior(model, x, y, NOISE).expanded()
    positions = log_posterior.positions
    z = 0.3 * np.random.default_rng(1).normal(size=positions.size).astype("float32")
    parts = dict(zip(positions.paths, positions.split(keras.ops.convert_to_tensor(z)), strict=True))
    named = {
        f"{path}/z" if positions.is_scaled(k) else path: parts[path]
        for k, path in enumerate(positions.paths)
    }
    potential = infer.util.potential_energy(lambda: bridge.random_model(model), (), {}, named)
    np.testing.assert_allclose(-float(potential), float(positions.log_prior(z)), rtol=1e-5)


def test_draws_of_a_site_are_those_of_the_prior():
    from keras_priors.bridges.numpyro.site_distribution import PriorDistribution

    site = PriorDistribution(kp.GammaPrior(4.0, 2.0), (2, 3))
    draws = np.asarray(site.sample(jax.random.PRNGKey(0), (50, 20)))
    assert draws.shape == (50, 20, 2, 3)
    assert abs(draws.mean() - 2.0) < 4 / np.sqrt(6000) and abs(draws.std() - 1.0) < 0.1
    np.testing.assert_allclose(
        np.asarray(site.log_prob(draws[:2, :3])),
        [[float(site.prior.log_prob(w)) for w in row[:3]] for row in draws[:2]],
        rtol=1e-5,
    )


def test_handlers_see_each_weight_by_path():
    model = net()
    x = np.linspace(-1, 1, 5, dtype="float32")[:, None]
    paths = list(kp.get_priors(model))
    seeded = handlers.seed(regression(model), 0)
    trace = handlers.trace(seeded).get_trace(x)
    assert list(trace) == [*paths, "y"]
    # The model's own weights in their place: the model's own output.
    own = dict(zip(paths, map(np.asarray, model.weights), strict=True))
    replaced = handlers.substitute(seeded, data=own)
    f = handlers.trace(replaced).get_trace(x)["y"]["fn"].base_dist.loc
    np.testing.assert_allclose(f, keras.ops.convert_to_numpy(model(x)), rtol=1e-5, atol=1e-6)
    conditioned = handlers.condition(seeded, data={paths[0]: own[paths[0]]})
    assert handlers.trace(conditioned).get_trace(x)[paths[0]]["is_observed"]


def test_an_unknown_scale_has_a_site():
    model = line(kp.NormalPrior(0, kp.HalfCauchyPrior(1.0)))
    trace = handlers.trace(handlers.seed(regression(model), 1)).get_trace(X)
    scale, z = (trace[f"line/kernel/{name}"]["value"] for name in ("prior_scale", "z"))
    np.testing.assert_allclose(trace["line/kernel"]["value"], scale * z, rtol=1e-6)


def test_other_priors_by_site():
    model = line(kp.NormalPrior(0, 1))
    normal = numpyro.distributions.Normal(5.0, 0.1)
    for prior in (kp.NormalPrior(5.0, 0.1), normal.expand([3, 1])):
        seeded = handlers.seed(regression(model, priors={"line/kernel": prior}), 0)
        value = handlers.trace(seeded).get_trace(X)["line/kernel"]["value"]
        np.testing.assert_allclose(value, 5.0, atol=0.5)
    for wrong, message in (
        ({"kernel": normal}, "must be for weights of the model"),
        ({"line/kernel": normal}, r"must have the shape \(3, 1\)"),
    ):
        with pytest.raises(ValueError, match=message):
            handlers.seed(regression(model, priors=wrong), 0)(X)


def test_a_flat_prior_is_said():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, name="line")])
    seeded = handlers.seed(handlers.substitute(regression(model), {"line/bias": np.ones(1)}), 0)
    with (
        pytest.warns(UserWarning, match="without a prior has a flat one"),
        handlers.substitute(data={"line/kernel": np.ones((3, 1))}),
    ):
        seeded(X)


@pytest.fixture(scope="module")
def chains():
    """Draws of the line by NumPyro's NUTS."""
    mcmc = infer.MCMC(
        infer.NUTS(regression(line())),
        num_warmup=200,
        num_samples=250,
        num_chains=2,
        chain_method="vectorized",
        progress_bar=False,
    )
    mcmc.run(jax.random.key(0), X, Y)
    return mcmc


def test_the_line_is_sampled_and_comes_back(chains):
    log_posterior = kp.inference.LogPosterior(line(), X, Y, NOISE)
    draws = chains.get_samples(group_by_chain=True)
    posterior = kp.inference.SamplePosterior.from_draws(log_posterior, draws)
    assert (posterior.num_chains, posterior.num_draws) == (2, 250)
    assert_exact(posterior.draws()["line/kernel"][:, :, 0], 250)


def test_predictive_draws_for_new_rows(chains):
    predictive = infer.Predictive(regression(line()), posterior_samples=chains.get_samples())
    y = predictive(jax.random.key(1), X[:2])["y"]
    assert y.shape == (500, 2, 1)
    expected = X[:2] @ np.asarray(chains.get_samples()["line/kernel"]).mean(axis=0)
    assert np.all(np.abs(np.asarray(y).mean(axis=0) - expected) < 4 * 0.7 / np.sqrt(500))


def test_variational_inference_by_an_autoguide():
    guide = infer.autoguide.AutoMultivariateNormal(regression(line()))
    svi = infer.SVI(regression(line()), guide, numpyro.optim.Adam(0.05), infer.Trace_ELBO(4))
    found = svi.run(jax.random.key(0), 800, X, Y, progress_bar=False)
    drawn = guide.sample_posterior(jax.random.key(1), found.params, sample_shape=(2000,))
    assert_exact(np.asarray(drawn["line/kernel"])[:, :, 0], 100)


@pytest.mark.slow
def test_a_net_has_the_predictions_of_our_nuts():
    model, x, y, likelihood = small_problem()
    mcmc = infer.MCMC(
        infer.NUTS(regression(model), target_accept_prob=0.95),
        num_warmup=1000,
        num_samples=1000,
        num_chains=4,
        chain_method="vectorized",
        progress_bar=False,
    )
    mcmc.run(jax.random.key(0), x, y)
    log_posterior = kp.inference.LogPosterior(model, x, y, likelihood)
    draws = mcmc.get_samples(group_by_chain=True)
    assert_same_predictions(kp.inference.SamplePosterior.from_draws(log_posterior, draws), 200)
