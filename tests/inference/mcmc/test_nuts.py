"""NUTS against closed forms, quadrature and trusted draws, and what it says when it fails."""

import keras
import numpy as np
import pytest
from scipy import special, stats

import keras_priors as kp
from keras_priors.inference.mcmc import hamiltonian as _hamiltonian
from tests._arviz import HAS_TREES, az

TORCH = keras.backend.backend() == "torch"
needs_kernels = pytest.mark.skipif(TORCH, reason="the refusal on PyTorch has its own test")
NOISE = kp.likelihoods.Normal(0.5)


def line(x):
    layer = keras.layers.Dense(
        1,
        use_bias=False,
        kernel_initializer="zeros",
        kernel_regularizer=kp.NormalPrior(0, 1),
        name="line",
    )
    return keras.Sequential([keras.Input((x.shape[1],)), layer])


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((30, 3)).astype("float32")
    y = x @ [[1.0], [-2.0], [0.5]] + 0.5 * rng.standard_normal((30, 1))
    return x, y.astype("float32")


@pytest.fixture(scope="module")
def exact(data):
    """Mean and covariance of the weights of the line, in closed form."""
    x, y = (part.astype("float64") for part in data)
    covariance = np.linalg.inv(np.eye(3) + x.T @ x / 0.25)
    return covariance @ x.T @ y[:, 0] / 0.25, covariance


@pytest.fixture(scope="module")
def fitted(data):
    """The line by NUTS, and how often its gradient was traced."""
    traces = []
    plain = kp.inference.LogPosterior.log_prob_and_gradient

    def counted(*args, **kwargs):
        traces.append(1)
        return plain(*args, **kwargs)

    nuts = kp.inference.NUTS(num_warmup=300, num_samples=600, start="current")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kp.inference.LogPosterior, "log_prob_and_gradient", counted)
        posterior = nuts.fit(line(data[0]), *data, NOISE, seed=1, verbose=0)
    return posterior, len(traces)


def errors(chains, mean):
    """Errors of the means of draws (chains, draws, D) in standard errors, by ArviZ' ESS."""
    data = az.convert_to_dataset({"z": np.asarray(chains, "float64")})
    ess = az.ess(data, method="mean")["z"].values
    return (chains.mean((0, 1)) - mean) / (chains.std((0, 1)) / np.sqrt(ess))


@needs_kernels
def test_a_conjugate_regression_is_recovered(fitted, exact):
    draws = fitted[0]._stored[0][..., 0]
    mean, covariance = exact
    assert np.all(np.abs(errors(draws, mean)) < 4)
    found = np.cov(draws.reshape(-1, 3), rowvar=False)
    sd = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(found / np.outer(sd, sd), covariance / np.outer(sd, sd), atol=0.1)


@needs_kernels
def test_statistics_have_the_names_and_shapes_of_arviz(fitted):
    found = fitted[0].sample_stats
    assert {k: v.shape for k, v in found.items()} == dict.fromkeys(
        [
            "diverging",
            "tree_depth",
            "reached_max_treedepth",
            "acceptance_rate",
            "step_size",
            "lp",
            "energy",
            "n_steps",
        ],
        (4, 600),
    )
    assert 0.7 < found["acceptance_rate"].mean() < 0.92
    assert np.all(found["n_steps"] < 2 ** found["tree_depth"])
    assert np.all(found["n_steps"] >= 2 ** (found["tree_depth"] - 1))
    assert not found["diverging"].any()
    # E[log density] of a normal is its top minus D / 2; H is that of it and the momentum.
    assert found["energy"].mean() + found["lp"].mean() == pytest.approx(1.5, abs=0.2)


@needs_kernels
def test_log_densities_are_those_of_the_draws(fitted, data):
    posterior = fitted[0]
    log_posterior = kp.inference.LogPosterior(posterior.model, *data, NOISE)
    position = {"line/kernel": posterior._stored[0][2, 17]}
    assert posterior.sample_stats["lp"][2, 17] == pytest.approx(log_posterior(position), abs=1e-3)


@needs_kernels
def test_the_program_is_traced_once(fitted):
    # 18 chunks; on JAX a function is traced for its shapes and again for its program.
    assert fitted[1] <= 4


@needs_kernels
@pytest.mark.filterwarnings("ignore:For one or more samples the posterior variance")
def test_it_predicts_and_goes_to_arviz(fitted, data, exact):
    posterior = fitted[0]
    x = data[0][:5]
    predictive = posterior.predict(x, 1000, seed=0)
    np.testing.assert_allclose(
        np.asarray(predictive.mean)[:, 0], x @ exact[0], atol=4 * 0.5 / np.sqrt(500)
    )
    opened = posterior.to_arviz()
    assert opened.sample_stats["diverging"].shape == (4, 600)
    loo = az.loo(opened)
    found = float(loo.elpd if HAS_TREES else loo.elpd_loo)
    # In closed form: each row is taken out of the normal of f there.
    every = data[0].astype("float64")
    f, h = every @ exact[0], np.einsum("ni,ij,nj->n", every, exact[1], every)
    left = 1 - h / 0.25
    mean, variance = (f - h * data[1][:, 0] / 0.25) / left, h / left + 0.25
    expected = stats.norm(mean, np.sqrt(variance)).logpdf(data[1][:, 0]).sum()
    assert found == pytest.approx(expected, abs=0.5)
    assert posterior.summary()["r_hat"].max() < 1.02


def test_pytorch_is_refused_at_fit(data):
    if not TORCH:
        pytest.skip("the other backends have kernels")
    for method in (kp.inference.NUTS(), kp.inference.HMC()):
        with pytest.raises(NotImplementedError, match=r"TensorFlow or the JAX.*SGLD"):
            method.fit(line(data[0]), *data, NOISE)


@pytest.mark.parametrize(
    ("kwargs", "error", "says"),
    [
        ({"num_chains": 0}, ValueError, "num_chains"),
        ({"num_samples": 1.5}, TypeError, "num_samples"),
        ({"num_warmup": -1}, ValueError, "num_warmup"),
        ({"target_accept": 1.0}, ValueError, "between 0 and 1"),
        ({"start": "zero"}, ValueError, "one of.*'map', 'prior', 'current'"),
        ({"mass": "full"}, ValueError, "'auto', 'diagonal', 'dense', 'low_rank'"),
        ({"max_tree_depth": 0}, ValueError, "max_tree_depth"),
    ],
)
def test_arguments_out_of_range_are_refused(kwargs, error, says):
    with pytest.raises(error, match=says):
        kp.inference.NUTS(**kwargs)


@needs_kernels
def test_a_start_that_is_not_finite_is_refused(data):
    x, y = data
    bad = np.where(np.arange(30)[:, None] == 3, np.float32(1e30), x)
    with pytest.raises(ValueError, match=r"must be finite where inference begins.*likelihood"):
        kp.inference.NUTS(start="current").fit(line(x), bad, y, NOISE, seed=0)


@needs_kernels
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:R-hat:UserWarning", "ignore:The effective:UserWarning")
def test_the_same_seed_gives_the_same_draws_and_a_run_goes_on(data):
    def run(seed, num_samples, resume=None):
        nuts = kp.inference.NUTS(
            num_chains=2, num_warmup=60, num_samples=num_samples, start="current", mass="low_rank"
        )
        return nuts.fit(line(data[0]), *data, NOISE, seed=seed, verbose=0, resume=resume)

    whole, half, other = run(3, 120), run(3, 50), run(4, 120)
    assert np.array_equal(whole._stored[0][:, :50], half._stored[0])
    assert not np.array_equal(whole._stored[0], other._stored[0])
    on = run(5, 70, resume=half)
    assert np.array_equal(on._stored[0], whole._stored[0])
    for name, value in whole.sample_stats.items():
        assert np.array_equal(on.sample_stats[name], value)


@needs_kernels
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:R-hat:UserWarning", "ignore:The effective:UserWarning")
def test_an_interrupt_keeps_what_there_is(data, monkeypatch):
    calls = []

    def interrupted(at):
        def step(self, count=1):
            calls.append(count)
            if len(calls) == at:
                raise KeyboardInterrupt

        return step

    nuts = kp.inference.NUTS(num_chains=2, num_warmup=50, num_samples=400, start="current")
    monkeypatch.setattr(_hamiltonian.Progress, "step", interrupted(2))
    with pytest.raises(KeyboardInterrupt, match=r"in its warmup, after [0-9]+ of 50"):
        nuts.fit(line(data[0]), *data, NOISE, seed=3, verbose=0)
    calls.clear()
    monkeypatch.setattr(_hamiltonian.Progress, "step", interrupted(6))
    with pytest.warns(UserWarning, match=r"interrupted after .* of 400 draws a chain"):
        posterior = nuts.fit(line(data[0]), *data, NOISE, seed=3, verbose=0)
    kept = posterior.num_draws
    assert 0 < kept < 400
    monkeypatch.undo()
    on = nuts.fit(line(data[0]), *data, NOISE, seed=3, verbose=0, resume=posterior)
    assert on.num_draws == kept + 400
    other = kp.inference.NUTS(num_chains=3)
    with pytest.raises(ValueError, match="num_chains=3"):
        other.fit(line(data[0]), *data, NOISE, resume=on)


@needs_kernels
@pytest.mark.slow
def test_divergences_are_said(data):
    x, y = data
    # Neal's funnel: the scale of the other weights is one of them.
    rng = np.random.default_rng(0)
    model = keras.Sequential([keras.Input((1,)), Funnel(name="funnel")])
    nuts = kp.inference.NUTS(num_warmup=200, num_samples=400, start="prior", target_accept=0.6)
    with pytest.warns(UserWarning) as said:
        nuts.fit(
            model,
            rng.standard_normal((1, 1)),
            np.zeros((1, 9)),
            kp.likelihoods.Normal(1.0),
            seed=0,
            verbose=0,
        )
    assert any("transitions of NUTS diverged" in str(w.message) for w in said)
    assert any("R-hat" in str(w.message) or "effective" in str(w.message) for w in said)
    with pytest.raises(ValueError, match=r"400 transitions that all diverged"):
        kp.inference.NUTS(num_chains=1, num_warmup=0, num_samples=400, start="current").fit(
            line(x), 1e4 * x, y, NOISE, seed=0, verbose=0
        )


class Funnel(keras.layers.Layer):
    def build(self, input_shape):
        self.w = self.add_weight(shape=(10,), regularizer=kp.NormalPrior(0, 1), name="w")

    def call(self, x):
        return x * 0 + self.w[None, 1:] * keras.ops.exp(4 * self.w[0])


@needs_kernels
@pytest.mark.closed_form
@pytest.mark.slow
def test_a_logistic_regression_has_the_moments_of_quadrature():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((25, 2)).astype("float32")
    y = (rng.random((25, 1)) < special.expit(x @ [[2.0], [-1.0]])).astype("float32")
    layer = keras.layers.Dense(1, use_bias=False, kernel_regularizer=kp.NormalPrior(0, 3))
    model = keras.Sequential([keras.Input((2,)), layer])
    posterior = kp.inference.NUTS(num_samples=2000, num_warmup=500).fit(
        model, x, y, kp.likelihoods.Bernoulli(), seed=0, verbose=0
    )
    grid = np.stack(np.meshgrid(np.linspace(-4, 16, 400), np.linspace(-12, 6, 400)), -1)
    logits = grid @ x.T.astype("float64")
    log_density = np.sum(
        np.where(y[:, 0] > 0, -np.logaddexp(0, -logits), -np.logaddexp(0, logits)), -1
    )
    log_density += np.sum(stats.norm.logpdf(grid, 0, 3), -1)
    p = np.exp(log_density - log_density.max())
    p /= p.sum()
    mean = np.einsum("ij,ijk->k", p, grid)
    sd = np.sqrt(np.einsum("ij,ijk->k", p, (grid - mean) ** 2))
    # The posterior is skew: its mode, which Laplace would take for the mean, is elsewhere.
    mode = grid.reshape(-1, 2)[p.argmax()]
    assert np.any(np.abs(mode - mean) > 0.3 * sd)
    draws = posterior._stored[0][..., 0]
    assert np.all(np.abs(errors(draws, mean)) < 4)
    np.testing.assert_allclose(draws.std((0, 1)), sd, rtol=0.05)


REFERENCES = {
    "sblrc__blr": (kp.NormalPrior(0, 10), kp.HalfNormalPrior(10)),
    "kidiq__kidscore_momiq": (None, kp.HalfCauchyPrior(2.5)),
    # A predictor of 3983 +- 18 beside a constant: correlated by -0.99999.
    "kilpisjarvi_mod__kilpisjarvi": (
        kp.NormalPrior([[9.31290322580645], [0.0]], [[100.0], [1 / 30]]),
        kp.UniformPrior(0, 100),
    ),
}


@needs_kernels
@pytest.mark.closed_form
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:A weight without a prior")
@pytest.mark.parametrize("name", REFERENCES)
def test_reference_posteriors(name, shared_data):
    found = np.load(shared_data / "posteriors" / f"{name}.npz")
    prior, of_scale = REFERENCES[name]
    x, y = found["X"].astype("float32"), found["y"].astype("float32")[:, None]
    start, *_ = np.linalg.lstsq(found["X"], found["y"][:, None])
    residual = float(np.std(found["y"][:, None] - found["X"] @ start))
    model = keras.Sequential(
        [
            keras.Input((x.shape[1],)),
            keras.layers.Dense(1, use_bias=False, kernel_regularizer=prior, name="line"),
            kp.layers.NoiseScale(prior=of_scale, initial_scale=residual, name="noise"),
        ]
    )
    model.layers[0].kernel.assign(start)
    posterior = kp.inference.NUTS(num_samples=2500, start="current").fit(
        model, x, y, kp.likelihoods.HeteroscedasticNormal(), seed=0, verbose=0
    )
    draws = np.concatenate([v.reshape(4, 2500, -1) for v in posterior._stored], axis=2)
    flat = draws.reshape(-1, draws.shape[2])
    in_errors = errors(draws, found["mean"])
    own = (draws.mean((0, 1)) - found["mean"]) / in_errors
    combined = np.hypot(own, found["mcse"])
    assert np.all(np.abs(flat.mean(0, dtype="float64") - found["mean"]) < 4 * combined)
    np.testing.assert_allclose(flat.std(0, dtype="float64"), found["sd"], rtol=0.05)
    assert posterior.summary()["r_hat"].max() < 1.01
    # A whitened posterior takes 3 gradients a draw or 7, from a raw design too.
    assert posterior.sample_stats["n_steps"].mean() < 7


class Replicates(keras.layers.Layer):
    """tanh nets side by side, R of them, in one model."""

    def __init__(self, number, **kwargs):
        super().__init__(**kwargs)
        self.number = number

    def build(self, input_shape):
        prior = kp.NormalPrior(0, 1)
        self.first = self.add_weight(shape=(self.number, 2, 2), regularizer=prior, name="first")
        self.last = self.add_weight(shape=(self.number, 2), regularizer=prior, name="last")

    def call(self, x):
        hidden = keras.ops.tanh(keras.ops.einsum("nd,rdh->nrh", x, self.first))
        return keras.ops.einsum("nrh,rh->nr", hidden, self.last)


@needs_kernels
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:R-hat:UserWarning", "ignore:The effective:UserWarning")
def test_ranks_of_the_truth_are_uniform():
    # Simulation-based calibration (Talts et al., 2018) of 200 nets, whose posteriors are
    # independent parts of one. Weights have mirrored modes; what a net says has not.
    number, rows, kept = 200, 8, 99
    rng = np.random.default_rng(0)
    x = rng.standard_normal((rows, 2)).astype("float32")
    model = keras.Sequential([keras.Input((2,)), Replicates(number, name="nets")])
    truth = kp.sample_prior(model, 1, seed=5)
    for path, weight in zip(("nets/first", "nets/last"), model.weights, strict=True):
        weight.assign(truth[path][0])
    at = np.array([[0.5, -1.0], [1.5, 1.0]], "float32")
    true = model.predict(at, verbose=0)
    y = model.predict(x, verbose=0) + 0.3 * rng.standard_normal((rows, number))
    posterior = kp.inference.NUTS(num_warmup=600, num_samples=1000, start="prior").fit(
        model, x, y.astype("float32"), kp.likelihoods.Normal(0.3), seed=1, verbose=0
    )
    drawn = np.asarray(posterior.predict(at, kept, seed=0).draws)
    ranks = np.sum(drawn < true, axis=0)  # 0 to 99
    for of_point in ranks:
        counts = np.bincount(of_point // 10, minlength=10)
        assert stats.chisquare(counts).pvalue > 0.001
