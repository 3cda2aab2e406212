"""SGLD and SGHMC, their schedules, and how they go on and end."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_priors as kp
from keras_priors.inference.sgmcmc.step_plan import StepPlan
from tests.inference._chains import SHORT_CHAINS
from tests.inference._lines import SIGMA, exact, line_data, line_model

pytestmark = SHORT_CHAINS
LIKELIHOOD = kp.likelihoods.Normal(SIGMA)
PLAIN = {"batch_size": 64, "num_burnin": 250, "num_samples": 40, "thinning": 8}
PLAIN |= {"num_chains": 64, "preconditioner": None}
WHITENED = {"batch_size": 64, "num_burnin": 600, "num_samples": 120, "thinning": 10}
WHITENED |= {"num_chains": 32}
SETTINGS = {
    "sgld": kp.inference.SGLD(0.02, **PLAIN),
    "sghmc": kp.inference.SGHMC(2e-3, **PLAIN),
    "sgld, rmsprop": kp.inference.SGLD(4e-3, **WHITENED),
    "sghmc, rmsprop": kp.inference.SGHMC(4e-4, **WHITENED),
}
SLOW = [
    pytest.param(name, marks=pytest.mark.slow) if "rmsprop" in name else name for name in SETTINGS
]
SHORT = {"batch_size": 100, "num_burnin": 10, "thinning": 3, "num_chains": 2}


@pytest.mark.parametrize("name", SLOW)
def test_recovers_conjugate_linear_regression(name):
    x, y = line_data()
    model = line_model()
    before = model.get_weights()[0]
    posterior = SETTINGS[name].fit(model, x, y, LIKELIHOOD, seed=1, verbose=0)
    mean, covariance = exact(x, y)
    draws = posterior.draws()["line/kernel"][..., 0]
    sd = np.sqrt(np.diag(covariance))
    assert np.all(np.abs(draws.mean(0) - mean) < 0.1 * sd)
    assert np.all(np.abs(draws.std(0) / sd - 1) < 0.15)
    correlation = np.corrcoef(draws.T) - covariance / np.outer(sd, sd)
    assert np.all(np.abs(correlation) < 0.15)
    np.testing.assert_array_equal(model.get_weights()[0], before)


@pytest.mark.parametrize("kind", [kp.inference.SGLD, kp.inference.SGHMC])
def test_a_preconditioned_chain_has_the_posteriors_spread(kind):
    """500 means of the same data: G is about 2.5, by which the noise is wrong if it has no part."""
    count, scale, units = 20, 0.8, 500
    layer = keras.layers.Dense(
        units,
        use_bias=False,
        kernel_initializer="zeros",
        kernel_regularizer=kp.NormalPrior(0.0, scale),
        name="means",
    )
    model = keras.Sequential([keras.Input((1,)), layer])
    y = np.random.default_rng(0).normal(0.7, 1.0, size=(count, 1)).astype("float32")
    rate = 0.02 if kind is kp.inference.SGLD else 2e-3
    method = kind(rate, num_burnin=150, num_samples=1, thinning=60, num_chains=1)
    posterior = method.fit(
        model,
        np.ones((count, 1), "float32"),
        np.repeat(y, units, axis=1),
        kp.likelihoods.Normal(1.0),
        seed=0,
        verbose=0,
    )
    draws = posterior.draws()["means/kernel"].reshape(units)
    precision = count + scale**-2
    mean, sd = float(y.sum()) / precision, precision**-0.5
    # Standard errors sd / 22 and 3%; a step of rate G h = 0.05 adds 1% to the deviation.
    assert abs(draws.mean() - mean) < 4 * sd / units**0.5
    assert abs(draws.std() / sd - 1.0) < 4 / (2 * units) ** 0.5 + 0.03


def test_each_chain_has_batches_of_its_own():
    """Where batches are all of the noise, two chains with the same ones are one chain."""
    x, y = np.ones((40, 1), "float32"), np.random.default_rng(0).normal(size=(40, 1))
    layer = keras.layers.Dense(
        1, use_bias=False, kernel_regularizer=kp.NormalPrior(0, 1), name="mean"
    )
    model = keras.Sequential([keras.Input((1,)), layer])
    method = kp.inference.SGLD(
        5e-5, batch_size=1, num_burnin=10, num_samples=60, thinning=2, num_chains=2,
        preconditioner=None,
    )  # fmt: skip
    posterior = method.fit(model, x, y, kp.likelihoods.Normal(0.01), seed=0, verbose=0)
    chains = posterior.draws()["mean/kernel"].reshape(2, 60)
    assert chains.std(axis=1).min() > 0.2  # the injected noise makes some 0.01 of it
    assert abs(np.corrcoef(chains)[0, 1]) < 4 / 60**0.5


@pytest.mark.parametrize(
    "method",
    [
        lambda n: kp.inference.SGHMC(num_samples=n, schedule="polynomial", **SHORT),
        pytest.param(lambda n: kp.inference.SGLD(num_samples=n, **SHORT), marks=pytest.mark.slow),
    ],
)
def test_a_run_that_goes_on_is_the_longer_run(method, tmp_path):
    x, y = line_data()
    model = line_model()
    whole = method(8).fit(model, x, y, LIKELIHOOD, seed=3, verbose=0)
    half = method(4).fit(model, x, y, LIKELIHOOD, seed=3, verbose=0)
    half.save(tmp_path / "half.posterior")
    half = kp.inference.Posterior.load(tmp_path / "half.posterior")
    both = method(4).fit(model, x, y, LIKELIHOOD, seed=99, verbose=0, resume=half)
    assert (both.num_chains, both.num_draws) == (2, 8)
    np.testing.assert_allclose(
        both.draws()["line/kernel"], whole.draws()["line/kernel"], rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(
        both.sample_stats["step_size"], whole.sample_stats["step_size"], rtol=1e-6
    )
    other = method(8).fit(model, x, y, LIKELIHOOD, seed=4, verbose=0)
    assert not np.allclose(other.draws()["line/kernel"], whole.draws()["line/kernel"])
    chains = whole.to_arviz().posterior["line.kernel"].values
    assert not np.allclose(chains[0], chains[1])


def test_cycles_follow_their_formula_and_draw_at_their_ends():
    method = kp.inference.SGHMC(
        0.1, num_burnin=0, num_samples=6, thinning=2, schedule="cyclical", num_cycles=3,
        exploration=0.75, preconditioner=None,
    )  # fmt: skip
    plan = StepPlan(method, 0)
    keep, arrays, taken = plan.chunk(0, len(plan.keep))
    # 2 draws of 2 steps in the last quarter of 16 steps, three times.
    rate = 0.05 * (np.cos(np.pi * (np.arange(48) % 16) / 16) + 1)
    np.testing.assert_allclose(arrays["rate"].ravel(), rate, rtol=1e-5)
    np.testing.assert_array_equal(arrays["noise"].ravel(), np.arange(48) % 16 >= 12)
    np.testing.assert_array_equal(np.flatnonzero(keep), [6, 7, 14, 15, 22, 23])
    np.testing.assert_array_equal(taken.ravel(), np.arange(48))


def test_a_polynomial_schedule_follows_its_formula():
    method = kp.inference.SGLD(
        0.1, num_burnin=5, num_samples=3, thinning=4, schedule="polynomial", decay=0.7
    )
    plan = StepPlan(method, 0)
    keep, arrays, taken = plan.chunk(0, 6)
    active = arrays["active"].astype(bool)
    np.testing.assert_array_equal(active.sum(1), [1, 4, 4, 4, 4, 0])
    np.testing.assert_allclose(
        arrays["rate"][active], 0.1 * (1 + np.arange(17) / 5) ** -0.7, rtol=1e-5
    )
    np.testing.assert_array_equal(taken[active], np.arange(17))
    np.testing.assert_array_equal(keep, [False, False, True, True, True])


def test_bounded_weights_stay_inside_and_chains_can_start_at_the_prior():
    x, y = line_data()
    model = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(
                1,
                use_bias=False,
                kernel_regularizer=kp.HalfNormalPrior(1.0),
                kernel_initializer="ones",
                name="line",
            ),
        ]
    )
    method = kp.inference.SGHMC(num_samples=10, start="prior", **SHORT)
    posterior = method.fit(model, x, y, LIKELIHOOD, seed=0, verbose=0)
    draws = posterior.draws()["line/kernel"]
    assert draws.shape == (20, 3, 1)
    assert np.all(draws > 0)
    assert np.abs(draws[0] - draws[10]).max() > 0.01


def test_an_interrupted_run_gives_what_there_is(monkeypatch):
    x, y = line_data()
    method = kp.inference.SGLD(num_samples=1000, **SHORT)
    calls = []

    def interrupt(self):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(
        "keras_priors.inference.sgmcmc.stochastic_gradient.Progress.step", interrupt
    )
    monkeypatch.setattr("keras_priors.inference.sgmcmc.stochastic_gradient._STEPS", 24)
    with pytest.warns(UserWarning, match="interrupted: there are .* of 1000 draws"):
        posterior = method.fit(line_model(), x, y, LIKELIHOOD, seed=0, verbose=0)
    assert 0 < posterior.num_draws < 1000
    monkeypatch.undo()
    more = kp.inference.SGLD(num_samples=5, **SHORT)
    both = more.fit(line_model(), x, y, LIKELIHOOD, verbose=0, resume=posterior)
    assert both.num_draws == posterior.num_draws + 5


def test_failures_say_what_to_do():
    x, y = line_data()
    model = line_model()
    with pytest.raises(ValueError, match=r"too large for this posterior.*learning_rate"):
        kp.inference.SGLD(1e4, num_samples=40, preconditioner=None, **SHORT).fit(
            model, x, y, LIKELIHOOD, seed=0, verbose=0
        )
    method = kp.inference.SGLD(num_samples=4, **SHORT)
    broken = x.copy()
    broken[1:] = 1e30
    with pytest.raises(ValueError, match="finite where inference begins"):
        method.fit(model, broken, y, LIKELIHOOD, seed=0, verbose=0)
    point = kp.inference.MAP(max_iterations=0).fit(model, x, y, LIKELIHOOD)
    with pytest.raises(ValueError, match="goes on from a posterior that it gave"):
        method.fit(model, x, y, LIKELIHOOD, verbose=0, resume=point)
    for arguments, message in [
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"batch_size": 0}, "batch_size"),
        ({"preconditioner": "adam"}, "preconditioner"),
        ({"schedule": "cosine"}, "schedule"),
        ({"schedule": "cyclical", "num_samples": 10, "num_cycles": 3}, "multiple"),
        ({"exploration": 1.0}, "exploration"),
        ({"decay": 0.0}, "decay"),
        ({"start": "zero"}, "start"),
        ({"num_burnin": 0}, "burn-in"),
    ]:
        with pytest.raises(ValueError, match=message):
            kp.inference.SGLD(**arguments)
    with pytest.raises(ValueError, match="momentum"):
        kp.inference.SGHMC(momentum=1.0)


def test_the_preconditioner_is_fixed_after_burn_in():
    x, y = line_data()
    model = line_model()
    found = [
        kp.inference.SGLD(num_samples=n, **SHORT).fit(model, x, y, LIKELIHOOD, seed=0, verbose=0)
        for n in (1, 5)
    ]
    first, second = (p.continuation["second_moment"] for p in found)
    assert np.all(ops.convert_to_numpy(first) > 0)
    np.testing.assert_allclose(first, second, rtol=1e-5)


def test_a_chain_that_comes_to_a_stiffer_place_is_not_thrown_off():
    """Where gradients are 100 times those that the preconditioner was learned from."""
    x, y = line_data()
    model = line_model()

    def went_on(batch_size, **changed):
        method = kp.inference.SGHMC(1e-3, num_samples=60, **SHORT | {"batch_size": batch_size})
        posterior = method.fit(model, x, y, LIKELIHOOD, seed=0, verbose=0)
        kept = posterior.continuation
        posterior.continuation = {**kept, **{k: f * kept[k] for k, f in changed.items()}}
        return method.fit(model, x, y, LIKELIHOOD, verbose=0, resume=posterior)

    flat = {"second_moment": 1e-4, "recent_second_moment": 1e-4}
    mean, covariance = exact(x, y)
    draws = went_on(64, **flat).draws()["line/kernel"].reshape(2, -1, len(mean))[:, -30:]
    far = np.abs(draws - mean) / np.sqrt(np.diag(covariance))
    assert far.max() < 8
    # Where every batch has all rows there is no noise that tells, and nothing but the kept moment.
    one, other = (went_on(len(x), recent_second_moment=f) for f in (1.0, 1e6))
    np.testing.assert_array_equal(*(p.draws()["line/kernel"] for p in (one, other)))
