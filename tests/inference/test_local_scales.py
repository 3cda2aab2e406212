"""Horseshoes in samplers: normals whose local scales are drawn with the weights."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy import stats

import keras_priors as kp
from tests._arviz import az
from tests.inference._chains import SHORT_CHAINS

TORCH = keras.backend.backend() == "torch"
NOISE = kp.likelihoods.Normal(1.0)
PRIORS = {
    "horseshoe": kp.HorseshoePrior(0.3),
    "regularized": kp.RegularizedHorseshoePrior(0.3, 2.0),
}


def line(prior, columns):
    layer = keras.layers.Dense(
        1,
        use_bias=False,
        kernel_initializer=keras.initializers.Constant(0.1),
        kernel_regularizer=prior,
        name="line",
    )
    return keras.Sequential([keras.Input((columns,)), layer])


def sparse(rows, columns, signals):
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(rows, columns)), np.zeros(columns)
    w[: len(signals)] = signals
    y = x @ w + rng.normal(size=rows)
    return x.astype("float32"), y[:, None].astype("float32"), w


@pytest.mark.parametrize("name", PRIORS)
def test_the_marginal_over_the_local_scale_is_the_prior(name):
    prior, t = PRIORS[name], np.linspace(-25, 25, 20001)
    latent = prior.local_scale
    s = np.exp(t)
    sd = ops.convert_to_numpy(latent.scale_of(ops.convert_to_tensor(s, "float32")))
    for w in (0.01, 0.5, 3.0):
        joint = stats.norm(0, sd.astype("float64")).pdf(w) * stats.halfcauchy().pdf(s) * s
        expected = float(prior.log_prob([w]))
        assert np.log(joint.sum() * (t[1] - t[0])) == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize("name", PRIORS)
def test_samplers_move_in_both_and_all_else_in_the_weights(name):
    prior = PRIORS[name]
    x, y, _ = sparse(6, 3, [2.0])
    log_posterior = kp.inference.LogPosterior(line(prior, 3), x, y, NOISE)
    assert log_posterior.paths == ("line/kernel",)
    expanded = log_posterior.expanded()
    assert expanded.paths == ("line/kernel", "line/kernel/local_scale")
    rng = np.random.default_rng(1)
    z = rng.normal(size=6)
    s = np.exp(z[3:])
    sd = 0.3 * s
    if name == "regularized":
        sd = np.sqrt(4 * sd**2 / (4 + sd**2))
    w = sd * z[:3]
    fit = stats.norm(x @ w, 1).logpdf(y[:, 0]).sum()
    value = expanded.log_prob(ops.convert_to_tensor(z.astype("float32")), expanded.data)
    of_scales = stats.halfcauchy().logpdf(s).sum() + z[3:].sum()
    assert float(value) == pytest.approx(
        fit + stats.norm().logpdf(z[:3]).sum() + of_scales, rel=1e-5
    )
    position = {"line/kernel": w[:, None]}
    marginal = fit + float(prior.log_prob(w[:, None].astype("float32")))
    assert log_posterior(position) == pytest.approx(marginal, rel=1e-5)
    # Where a chain begins: at the weights, with z = 1.
    np.testing.assert_allclose(expanded.flatten()[:3], 1.0, atol=0.1)
    assert kp.inference.MAP(max_iterations=0).fit(line(prior, 3), x, y, NOISE).paths == (
        "line/kernel",
    )


def test_other_priors_have_none():
    x, y, _ = sparse(6, 3, [2.0])
    log_posterior = kp.inference.LogPosterior(line(kp.NormalPrior(0, 1), 3), x, y, NOISE)
    assert log_posterior.expanded() is log_posterior


@SHORT_CHAINS
@pytest.mark.parametrize("start", ["model", "prior"])
def test_draws_are_of_the_weights_and_a_run_goes_on(start, tmp_path):
    x, y, _ = sparse(12, 4, [3.0])

    def fit(num_samples, model, resume=None):
        sghmc = kp.inference.SGHMC(
            0.02, batch_size=12, num_burnin=10, num_samples=num_samples, thinning=2, num_chains=1,
            start=start,
        )  # fmt: skip
        return sghmc.fit(model, x, y, NOISE, seed=0, verbose=0, resume=resume)

    half, whole = (fit(n, line(PRIORS["horseshoe"], 4)) for n in (10, 20))
    assert list(half.draws()) == ["line/kernel"] and half.continuation["position"].shape == (1, 8)
    half.save(tmp_path / "half.posterior")
    loaded = kp.inference.Posterior.load(tmp_path / "half.posterior")
    on = fit(10, loaded.model, loaded)
    np.testing.assert_allclose(on.draws()["line/kernel"], whole.draws()["line/kernel"], rtol=1e-4)
    assert loaded.predict(x).mean.shape == (12, 1)


@pytest.mark.skipif(TORCH, reason="NUTS needs TFP's kernels")
@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore:.*transitions of NUTS diverged", "ignore:R-hat of NUTS", "ignore:The effective sample"
)
def test_nuts_finds_five_signals_among_a_hundred_columns():
    x, y, w = sparse(60, 100, [3.0, -2.0, 2.5, -3.0, 2.0])
    nuts = kp.inference.NUTS(num_warmup=500, num_samples=500, target_accept=0.95)
    posterior = nuts.fit(line(kp.HorseshoePrior(0.05), 100), x, y, NOISE, seed=0, verbose=0)
    found = az.summary(posterior.to_arviz(), round_to="none")
    assert found["r_hat"].max() < 1.05
    assert posterior.sample_stats["diverging"].mean() < 0.05
    alone = np.linalg.lstsq(x[:, :5], y[:, 0], rcond=None)[0]  # were the columns known
    np.testing.assert_allclose(found["mean"][:5], alone, atol=0.3)
    assert np.abs(found["mean"][5:]).max() < 0.2 and np.all(np.sign(alone) == np.sign(w[:5]))
