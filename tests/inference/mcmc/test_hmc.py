"""HMC on a scale with bounds, against quadrature; warmup against Stan's numbers."""

import keras
import numpy as np
import pytest
from scipy import stats

import keras_priors as kp
from keras_priors.inference.mcmc.warmup import learned_scale, rescaled, windows

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
        num_warmup=300, num_samples=1000, start="prior", target_accept=0.9
    ).fit(model, x, y, kp.likelihoods.HeteroscedasticNormal(), seed=0, verbose=0)
    draws = posterior._stored[0][..., 0]
    grid = np.linspace(1e-3, 30, 20001)
    log_density = stats.norm.logpdf(y, 0, grid).sum(0) + stats.halfnorm.logpdf(grid, 0, 3)
    p = np.exp(log_density - log_density.max())
    p /= p.sum()
    mean = p @ grid
    sd = np.sqrt(p @ (grid - mean) ** 2)
    import arviz as az

    ess = float(az.ess(draws.astype("float64"), method="mean"))
    assert draws.min() > 0 and ess > 1000
    assert abs(draws.mean() - mean) < 4 * sd / np.sqrt(ess)
    assert draws.std() == pytest.approx(sd, rel=0.1)
    # 10 leapfrog steps at most, the same number for all chains, and of all numbers.
    steps = posterior.sample_stats["n_steps"]
    assert np.all(steps == steps[:1])
    assert stats.chisquare(np.bincount(steps[0], minlength=11)[1:]).pvalue > 1e-3
    assert "tree_depth" not in posterior.sample_stats


def test_windows_are_those_of_stan():
    def lengths(number):
        return [length for length, _ in windows(number)]

    assert lengths(1000) == [75, 25, 50, 100, 200, 500, 50]
    assert lengths(600) == [75, 25, 50, 100, 300, 50]
    assert lengths(150) == [75, 25, 50]
    assert lengths(100) == [15, 75, 10]
    assert windows(19) == [(19, False)]
    assert windows(0) == []
    for number in range(20, 3000, 37):
        found = windows(number)
        assert sum(lengths(number)) == number
        assert [learns for _, learns in found] == [False, *[True] * (len(found) - 2), False]


def test_scales_are_learned_from_all_chains():
    rng = np.random.default_rng(0)
    factor = np.array([[2.0, 0.0], [3.0, 0.1]])
    draws = rng.standard_normal((500, 4, 2)) @ factor.T
    flat = draws.reshape(-1, 2)
    diagonal = learned_scale(draws, np.ones(2, "float32"))
    np.testing.assert_allclose(diagonal, flat.std(0), rtol=2e-3)
    dense = learned_scale(draws, np.eye(2, dtype="float32"))
    np.testing.assert_allclose(dense @ dense.T, np.cov(flat, rowvar=False), rtol=3e-3)
    # Chains that never moved leave a scale that is smaller, and not zero.
    still = learned_scale(np.ones((25, 4, 2)), np.ones(2, "float32"))
    assert np.all((still > 0) & (still < 0.1))


@pytest.mark.parametrize("dense", [False, True])
def test_a_new_scale_leaves_the_position_where_it_is(dense):
    rng = np.random.default_rng(0)
    old, new = (np.tril(rng.uniform(0.5, 2, (3, 3))).astype("float32") for _ in range(2))
    if not dense:
        old, new = np.diag(old).copy(), np.diag(new).copy()
    matrix = [np.diag(s) if s.ndim == 1 else s for s in (old, new)]
    z, slope = rng.standard_normal((2, 4, 3))
    state = {"position": np.linalg.solve(matrix[0], z.T).T, "gradient": slope @ matrix[0]}
    found = rescaled(state, old, new)
    np.testing.assert_allclose(found["position"] @ matrix[1].T, z, rtol=1e-4)
    np.testing.assert_allclose(found["gradient"], slope @ matrix[1], rtol=1e-4)
