"""BlackJAX' samplers on the log posterior as a pure function."""

import inspect

import keras
import numpy as np
import pytest
from scipy import stats

import keras_priors as kp
from tests.bridges._nets import (
    NOISE,
    X,
    Y,
    assert_exact,
    assert_same_predictions,
    line,
    small_problem,
)

if keras.backend.backend() != "jax":
    pytest.skip("BlackJAX is on JAX", allow_module_level=True)

blackjax = pytest.importorskip("blackjax", reason="no BlackJAX", exc_type=ModuleNotFoundError)

import jax  # noqa: E402


def nuts(logdensity, z, warmup, draws, target=0.8):
    """One chain (draws, D) after window adaptation."""
    warm, run = jax.random.split(jax.random.key(0))
    adaptation = blackjax.window_adaptation(
        blackjax.nuts, logdensity, target_acceptance_rate=target
    )
    (state, parameters), _ = adaptation.run(warm, z, warmup)
    step = jax.jit(blackjax.nuts(logdensity, **parameters).step)

    def one(state, key):
        state, _ = step(key, state)
        return state, state.position

    return jax.lax.scan(one, state, jax.random.split(run, draws))[1]


def test_nuts_after_window_adaptation():
    log_posterior = kp.inference.LogPosterior(line(), X, Y, NOISE)
    draws = nuts(*log_posterior.logdensity(), warmup=300, draws=500)
    posterior = kp.inference.SamplePosterior.from_draws(log_posterior, draws)
    assert_exact(posterior.draws()["line/kernel"][:, :, 0], 250)


@pytest.mark.slow
@pytest.mark.closed_form
def test_pathfinder_on_a_mapping():
    """Its states are pytrees: the weights by path."""
    log_posterior = kp.inference.LogPosterior(line(), X, Y, NOISE)
    function, start = log_posterior.logdensity(flat=False)
    state, _ = blackjax.pathfinder.approximate(
        jax.random.key(0), function, start, num_samples=50, maxiter=10
    )
    drawn, _ = blackjax.pathfinder.sample(jax.random.key(1), state, 1000)
    posterior = kp.inference.SamplePosterior.from_draws(log_posterior, drawn, unconstrained=True)
    assert_exact(posterior.draws()["line/kernel"][:, :, 0], 250)


@pytest.mark.slow
def test_a_net_has_the_predictions_of_our_nuts():
    log_posterior = kp.inference.LogPosterior(*small_problem())
    draws = nuts(*log_posterior.logdensity(), warmup=2000, draws=4000, target=0.95)
    assert_same_predictions(kp.inference.SamplePosterior.from_draws(log_posterior, draws))


@pytest.mark.skipif(
    "logdensity_fn" not in inspect.signature(blackjax.mclmc_find_L_and_step_size).parameters,
    reason="older BlackJAX, whose kernels hold the density",
)
@pytest.mark.slow
@pytest.mark.closed_form
def test_microcanonical_chains():
    """Without an acceptance step: its step size is tuned until the error of the energy is small."""
    log_posterior = kp.inference.LogPosterior(line(), X, Y, NOISE)
    logdensity, z = log_posterior.logdensity()
    first, tune, run = jax.random.split(jax.random.key(0), 3)
    state, parameters, *_ = blackjax.mclmc_find_L_and_step_size(
        mclmc_kernel=blackjax.mclmc.build_kernel(),
        num_steps=2000,
        state=blackjax.mclmc.init(z, logdensity, first),
        rng_key=tune,
        logdensity_fn=logdensity,
    )
    step = blackjax.mclmc(
        logdensity,
        L=parameters.L,
        step_size=parameters.step_size,
        inverse_mass_matrix=parameters.inverse_mass_matrix,
    ).step

    def one(state, key):
        state, _ = step(key, state)
        return state, state.position

    _, draws = jax.lax.scan(one, state, jax.random.split(run, 4000))
    posterior = kp.inference.SamplePosterior.from_draws(log_posterior, draws)
    assert_exact(posterior.draws()["line/kernel"][:, :, 0], 250)


def test_sequential_monte_carlo_knows_the_evidence():
    """From draws of the prior by powers of the likelihood; log p(y) is known here."""
    log_posterior = kp.inference.LogPosterior(line(), X, Y, NOISE)
    logdensity, _ = log_posterior.logdensity()
    logprior = log_posterior.log_prior_at
    smc = blackjax.adaptive_tempered_smc(
        logprior,
        lambda z: logdensity(z) - logprior(z),
        blackjax.hmc.build_kernel(),
        blackjax.hmc.init,
        blackjax.smc.extend_params(
            {
                "step_size": 0.1,
                "inverse_mass_matrix": np.ones(3, "float32"),
                "num_integration_steps": 5,
            }
        ),
        blackjax.smc.resampling.systematic,
        0.7,
        num_mcmc_steps=10,
    )
    prior = kp.sample_prior(log_posterior.model, 1000, seed=0)["line/kernel"].reshape(1000, 3)
    state, step, evidence = smc.init(prior), jax.jit(smc.step), 0.0
    for key in jax.random.split(jax.random.key(0), 30):
        state, info = step(key, state)
        evidence += float(info.log_likelihood_increment)
        if state.tempering_param == 1.0:
            break
    expected = stats.multivariate_normal(np.zeros(20), X @ X.T + 0.25 * np.eye(20)).logpdf(Y[:, 0])
    assert abs(evidence - expected) < 0.4
    # Its particles come with weights, those of the last power.
    kept = blackjax.smc.resampling.systematic(jax.random.key(1), state.weights, 1000)
    posterior = kp.inference.SamplePosterior.from_draws(log_posterior, state.particles[kept])
    assert_exact(posterior.draws()["line/kernel"][:, :, 0], 500)
