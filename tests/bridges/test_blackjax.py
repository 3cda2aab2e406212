"""BlackJAX' samplers on the log posterior as a pure function."""

import keras
import pytest

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
