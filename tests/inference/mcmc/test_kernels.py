"""A transition leaves the posterior as it is; warmup finds its scales; what is doubtful is said."""

import warnings

import keras
import numpy as np
import pytest
from scipy import stats

import keras_priors as kp
from keras_priors.inference.mcmc import diagnose
from keras_priors.inference.mcmc.diagnose import check_chains, check_divergences
from keras_priors.inference.mcmc.starts import starts

TORCH = keras.backend.backend() == "torch"
needs_kernels = pytest.mark.skipif(TORCH, reason="the refusal on PyTorch has its own test")
# TensorFlow builds the programs of these for 5 to 15 s; the kernels are the same.
slow_on_tensorflow = pytest.mark.slow if keras.backend.backend() == "tensorflow" else ()
CHAINS, STEPS = 100, 40
# Of short chains that are as they should be.
SHORT = pytest.mark.filterwarnings(
    "ignore:R-hat",
    "ignore:The effective sample size",
    "ignore:.* trees of NUTS reached",
    "ignore:More chains",
)


def in_errors(found, expected):
    """How far the mean of (chains, steps) is from what it should be; chains are independent."""
    means = found.mean(axis=1, dtype="float64")
    return abs(means.mean() - expected) / (means.std(ddof=1) / len(means) ** 0.5)


def priors_alone(method, kernel, bias, **kwargs):
    """Draws of a kernel and a bias of which the data say nothing, each (chains, draws)."""
    layer = keras.layers.Dense(1, kernel_regularizer=kernel, bias_regularizer=bias, name="line")
    model = keras.Sequential([keras.Input((1,)), layer])
    zero = np.zeros((1, 1), "float32")
    posterior = method.fit(model, zero, zero, kp.likelihoods.Normal(1e6), verbose=0, **kwargs)
    shape = posterior.sample_stats["lp"].shape
    return posterior, [v.reshape(shape) for v in posterior.draws().values()]


@needs_kernels
@SHORT
@pytest.mark.parametrize("kind", [pytest.param("NUTS", marks=slow_on_tensorflow), "HMC"])
def test_transitions_from_the_posterior_stay_in_it(kind):
    """Chains begin at exact draws: without a right momentum, path or acceptance they leave."""
    size = {"max_tree_depth": 2} if kind == "NUTS" else {"num_leapfrog_steps": 2}
    method = getattr(kp.inference, kind)(CHAINS, 0, STEPS, start="prior", **size)
    posterior, (kernel, bias) = priors_alone(
        method, kp.StudentTPrior(5.0, 0.0, 0.6), kp.NormalPrior(1.0, 0.55), seed=0
    )
    of_kernel, of_bias = stats.t(5.0, 0.0, 0.6), stats.norm(1.0, 0.55)
    for draws, exact in ((kernel, of_kernel), (bias, of_bias)):
        rank = exact.cdf(draws)
        assert in_errors(rank, 1 / 2) < 4
        assert in_errors((rank - 0.5) ** 2, 1 / 12) < 4
        assert in_errors((rank - 0.5) ** 4, 1 / 80) < 4
    found = posterior.sample_stats
    # They move, each by itself and at each step.
    assert np.ptp(kernel, axis=1).min() > 0.3
    assert in_errors(kernel[:, :-4:8] * kernel[:, 4::8], 0.0) < 4.5
    expected = of_kernel.logpdf(kernel) + of_bias.logpdf(bias) + stats.norm(0, 1e6).logpdf(0.0)
    np.testing.assert_allclose(found["lp"], expected, rtol=1e-5, atol=1e-4)
    np.testing.assert_array_equal(found["step_size"], 1.0)
    if kind == "NUTS":
        assert found["n_steps"].max() == 3
        assert found["reached_max_treedepth"].any()
        assert np.all(found["tree_depth"][found["reached_max_treedepth"]] == 2)
    else:
        assert set(np.unique(found["n_steps"])) <= {1, 2}


def leapfrog(q, p, precision):
    """By how many nats one step of size 1 makes a harmonic oscillator's energy grow."""
    before = 0.5 * (precision * q**2 + p**2)
    p = p - 0.5 * precision * q
    q = q + p
    p = p - 0.5 * precision * q
    return 0.5 * (precision * q**2 + p**2) - before


@needs_kernels
@SHORT
@pytest.mark.filterwarnings("ignore:.* transitions of HMC diverged")
def test_divergences_and_acceptance_are_those_of_the_oscillator():
    """The errors of one step are known: half of them are above 1000 nats, few above 10^5."""
    precision = 40.0
    scale = precision**-0.5
    method = kp.inference.HMC(CHAINS, 0, STEPS, start="prior", num_leapfrog_steps=1)
    posterior, _ = priors_alone(
        method, kp.NormalPrior(0.0, scale), kp.NormalPrior(0.0, 1.0), seed=1
    )
    q, p, other, momentum = np.random.default_rng(0).normal(size=(4, 10**6))
    grown = leapfrog(scale * q, p, precision) + leapfrog(other, momentum, 1.0)
    share = np.mean(grown > 1000.0)
    found = posterior.sample_stats
    assert in_errors(found["diverging"], share) < 4
    assert 0.3 < share < 0.7
    accepted = np.where(grown > 1000.0, 0.0, np.exp(-np.maximum(grown, 0.0)))
    assert in_errors(found["acceptance_rate"], accepted.mean()) < 4


@needs_kernels
@SHORT
@pytest.mark.parametrize(
    ("kind", "mass"),
    [
        pytest.param("NUTS", "diagonal", marks=slow_on_tensorflow),
        pytest.param("HMC", "low_rank", marks=slow_on_tensorflow),
    ],
)
def test_warmup_finds_scales_that_are_far_apart(kind, mass):
    """0.01 and 30: with one step size for both a path would take thousands of steps."""
    size = {"max_tree_depth": 5} if kind == "NUTS" else {"num_leapfrog_steps": 6}
    method = getattr(kp.inference, kind)(
        8, 150, 100, target_accept=0.95, start="prior", mass=mass, **size
    )
    posterior, drawn = priors_alone(
        method, kp.NormalPrior(0.0, 0.01), kp.NormalPrior(-5.0, 30.0), seed=2
    )
    for draws, mean, sd in zip(drawn, (0.0, -5.0), (0.01, 30.0), strict=True):
        # Some 400 of 800 draws count.
        assert abs(draws.mean() - mean) < 4 * sd / 400**0.5
        assert abs(draws.std() / sd - 1.0) < 4 / 800**0.5
    found = posterior.sample_stats
    assert found["acceptance_rate"].mean() == pytest.approx(0.95, abs=0.04)
    assert np.ptp(found["step_size"]) == 0.0
    assert 0.2 < found["step_size"][0, 0] < 1.5
    if kind == "NUTS":
        assert found["n_steps"].mean() < 12


def test_chains_begin_no_farther_out_than_draws_would():
    """D / 2 + 3 sqrt(D) nats below the top, and apart, though the posterior's scale is 1e-3."""
    prior = kp.NormalPrior(0.5, 1e-3)
    layer = keras.layers.Dense(
        3,
        use_bias=False,
        kernel_regularizer=prior,
        kernel_initializer=keras.initializers.Constant(0.5),
    )
    model = keras.Sequential([keras.Input((1,)), layer])
    x, y = np.zeros((1, 1), "float32"), np.zeros((1, 3), "float32")
    log_posterior = kp.inference.LogPosterior(model, x, y, kp.likelihoods.Normal(1.0))
    z, value, _ = starts(log_posterior, "current", 4, np.array([1, 2], "uint32"))
    assert np.all(value > log_posterior() - (1.5 + 3 * 3**0.5))
    assert np.std(z, axis=0).min() > 1e-5


def test_what_is_said_of_divergences_and_depth():
    few = {"diverging": np.arange(200).reshape(2, 100) == 7, "step_size": np.full((2, 100), 0.5)}
    with pytest.warns(UserWarning, match="1 of 200 transitions of HMC diverged"):
        check_divergences("HMC", few, 0.8)
    check_divergences("HMC", few | {"diverging": np.zeros((2, 100), bool)}, 0.8)
    with pytest.raises(ValueError, match=r"200 transitions that all diverged, at .* 0\.5"):
        check_divergences("HMC", few | {"diverging": np.ones((2, 100), bool)}, 0.8)


def said_of(chains, cut=0.0, mass="auto", **kwargs):
    """The warnings, joined, of chains of which that share of the trees was cut off."""
    stats = {"reached_max_treedepth": np.linspace(0, 1, chains[..., 0].size) < cut}
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        check_chains("NUTS", chains, stats, most=4, mass=mass, **kwargs)
    return "\n".join(str(w.message) for w in said)


@pytest.fixture(scope="module")
def good():
    return np.random.default_rng(0).normal(size=(4, 1000, 3))


def autoregression(noise):
    """A sum of autocorrelations of 39: of 4000 draws 4000 / 39 count, where 400 are asked."""
    slow = np.zeros_like(noise)
    for t in range(1, noise.shape[1]):
        slow[:, t] = 0.95 * slow[:, t - 1] + noise[:, t]
    return slow


def test_what_is_said_of_trees_fits_the_chains(good):
    """Valid, but slow, is said of chains that have mixed, and of no others."""
    assert said_of(good) == said_of(good, 0.009) == ""
    said = said_of(good, 0.02, "diagonal")
    assert said.startswith("2% of the trees of NUTS reached max_tree_depth=4: valid, but slow.")
    assert 'mass="auto"' in said
    assert 'mass="dense"' in said_of(good, 0.02, "low_rank")
    assert 'mass="' not in said_of(good, 0.02, "dense")
    apart = good + 3.0 * np.arange(4)[:, None, None]
    for chains in (apart, autoregression(good)):
        said = said_of(chains, 0.3)
        assert "30% of the trees" in said and "valid" not in said
        assert "do not use these draws" in said
        assert "num_samples" not in said


def test_what_is_said_of_chains(good):
    apart = good + 0.3 * np.arange(4)[:, None, None] * np.array([0.0, 0.0, 1.0])
    said = said_of(apart)
    assert "R-hat of NUTS is" in said and "for 1 of 3 weights" in said
    # As many digits as show that it is above.
    shown = {1.0100002: "1.0100002", 1.01004: "1.01004", 1.0104: "1.0104", 1.0106: "1.011"}
    assert {value: diagnose._above(value) for value in shown} == shown
    assert [diagnose._above(value) for value in (1.3, np.inf, np.nan)] == ["1.300", "inf", "nan"]
    said = said_of(autoregression(good))
    assert "The effective sample size of NUTS" in said and "num_warmup and num_samples" in said
    # Halves of chains that are the same but for their order: they agree, and are few.
    rng = np.random.default_rng(1)
    few = np.stack([np.concatenate([rng.permutation(good[0, :30]) for _ in "ab"]) for _ in "abcd"])
    said = said_of(few)
    assert "R-hat" not in said and "uncertain, tails more so. Give more num_samples." in said
    assert "3 draws of NUTS a chain are too few" in said_of(good[:, :3])


def test_chains_that_wander_want_more_draws_and_chains_in_modes_do_not(good):
    apart = good + 3.0 * np.arange(4)[:, None, None]
    said = said_of(apart)
    assert "Each agrees with itself: there are several modes" in said and "more num" not in said
    assert "compare predictions, not weights" in said_of(apart, network=True)
    walk = np.cumsum(good, axis=1)
    said = said_of(walk)
    assert "Give more num_warmup and num_samples" in said and "Each agrees" not in said
    assert "compare predictions too" in said_of(walk, network=True)
