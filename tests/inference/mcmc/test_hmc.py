"""HMC on a scale with bounds, against quadrature; the windows of warmup."""

import keras
import numpy as np
import pytest
from scipy import stats

import keras_priors as kp
from keras_priors.inference.mcmc.warmup import restarted, windows
from tests._arviz import az

TORCH = keras.backend.backend() == "torch"
needs_kernels = pytest.mark.skipif(TORCH, reason="the refusal on PyTorch has its own test")


@needs_kernels
def test_an_unknown_scale_has_the_moments_of_quadrature():
    rng = np.random.default_rng(0)
    x, y = np.zeros((6, 1)), 2 * rng.standard_normal((6, 1))
    model = keras.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dense(1, use_bias=False, trainable=False),
            kp.layers.NoiseScale(prior=kp.HalfNormalPrior(3.0), name="noise"),
        ]
    )
    posterior = kp.inference.HMC(
        num_warmup=300, num_samples=1000, start="prior", target_accept=0.95
    ).fit(model, x, y, kp.likelihoods.HeteroscedasticNormal(), seed=0, verbose=0)
    draws = posterior._stored[0][..., 0]
    grid = np.linspace(1e-3, 30, 20001)
    log_density = stats.norm.logpdf(y, 0, grid).sum(0) + stats.halfnorm.logpdf(grid, 0, 3)
    p = np.exp(log_density - log_density.max())
    p /= p.sum()
    mean = p @ grid
    sd = np.sqrt(p @ (grid - mean) ** 2)
    ess = float(az.ess(draws.astype("float64"), method="mean"))
    assert draws.min() > 0 and ess > 1000
    assert abs(draws.mean() - mean) < 4 * sd / np.sqrt(ess)
    assert draws.std() == pytest.approx(sd, rel=0.1)
    # 10 leapfrog steps at most, the same number for all chains, and of all numbers.
    steps = posterior.sample_stats["n_steps"]
    assert np.all(steps == steps[:1])
    assert stats.chisquare(np.bincount(steps[0], minlength=11)[1:]).pvalue > 1e-3
    assert "tree_depth" not in posterior.sample_stats


def test_windows_are_short_first():
    def lengths(number):
        return [length for length, _ in windows(number)]

    assert lengths(1000) == [10, 15, 22, 33, 50, 75, 113, 170, 462, 50]
    assert lengths(100) == [10, 15, 55, 20]
    assert windows(19) == [(19, False)]
    assert windows(0) == []
    for number in range(20, 3000, 37):
        found = windows(number)
        assert sum(lengths(number)) == number
        assert [learns for _, learns in found] == [*[True] * (len(found) - 1), False]
        assert number < 60 or lengths(number)[-2] >= 0.3 * number


def test_a_dual_averaging_begins_where_it_is_told():
    far, near = restarted({"seed": 1}, 0.5), restarted({"seed": 1}, 0.5, near=True)
    assert far["seed"] == near["seed"] == 1 and far["step_size"] == near["step_size"] == 0.5
    assert np.exp(far["log_shrinkage"]) == pytest.approx(5.0) and far["adapted"] == 0
    assert np.exp(near["log_shrinkage"]) == pytest.approx(0.5) and near["adapted"] > 100
