"""Scales that move faster than means, and scales that are set."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_priors import VariationalDense, backend, posteriors, priors
from tests.posteriors._calculus import as_numpy
from tests.posteriors._families import FAMILIES, build, make, scatter

RATE = 4.0
RATED = {
    "mean_field": posteriors.MeanFieldNormal,
    "low_rank": posteriors.LowRankNormal,
    "log_normal": posteriors.LogNormal,
}


def pair(name):
    """The same distribution at rates 1 and `RATE`."""
    found = []
    for rate in (1.0, RATE):
        q, variables = build(RATED[name](scale_rate=rate))
        scatter(variables)
        q.rho.assign(q.rho / rate)
        found.append(q)
    return found


def quantities(q, prior):
    noise = backend.standard_normal(q.noise_shape, backend.as_seed(0))
    found = {
        "mean": q.mean(),
        "stddev": q.stddev(),
        "draw": q.transform(noise),
        "perturbation": q.perturbation(noise),
        "entropy": q.entropy(),
        "kl": q.kl(prior),
        "log_prob": q.log_prob(q.transform(noise)),
    }
    if not isinstance(q, posteriors.LogNormal):
        flat = backend.standard_normal((2, int(np.prod(q.noise_shape))), backend.as_seed(1))
        found["log_q"], found["slope"] = q.density_of_draws(flat)
    return found


@pytest.mark.parametrize("name", RATED)
def test_the_rate_changes_no_distribution(name):
    prior = priors.LogNormalPrior(0, 1) if name == "log_normal" else priors.NormalPrior(0, 1)
    slow, fast = (quantities(q, prior) for q in pair(name))
    for what, value in slow.items():
        np.testing.assert_allclose(as_numpy(fast[what]), as_numpy(value), rtol=2e-5, err_msg=what)


@pytest.mark.parametrize("name", RATED)
def test_it_starts_at_the_same_scale(name):
    slow, fast = (build(RATED[name](initial_scale=0.02, scale_rate=r))[0] for r in (1.0, RATE))
    np.testing.assert_allclose(as_numpy(fast.rho) * RATE, as_numpy(slow.rho), rtol=1e-6)


def test_a_step_of_adam_moves_the_scale_as_many_times_as_far():
    """Small scales are exp(rho): their logarithm moves by rate times learning rate."""
    moved = []
    for rate in (1.0, RATE):
        family = posteriors.MeanFieldNormal(initial_scale=1e-3, scale_rate=rate)
        layer = VariationalDense(1, use_bias=False, kernel_posterior=family, num_data=10)
        model = keras.Sequential([keras.Input((3,)), layer])
        model.compile(keras.optimizers.Adam(0.01), "mse")
        model.fit(np.ones((4, 3)), np.ones((4, 1)), verbose=0)
        moved.append(np.log(as_numpy(layer.kernel_posterior.stddev()) / 1e-3))
    np.testing.assert_allclose(moved[0], 0.01, rtol=0.02)
    np.testing.assert_allclose(moved[1], 0.04, rtol=0.02)


@pytest.mark.parametrize("name", [f for f in FAMILIES if f not in ("delta", "matrix_normal")])
def test_standard_deviations_that_are_set(name):
    q, _ = make(name)
    mean, wanted = as_numpy(q.mean()), np.linspace(0.05, 2.0, q.size).reshape(q.shape)
    before = _correlations(q)
    q.assign_stddev(wanted)
    np.testing.assert_allclose(as_numpy(q.stddev()), wanted, rtol=2e-5)
    np.testing.assert_allclose(as_numpy(q.mean()), mean, rtol=2e-5)
    if before is not None:
        np.testing.assert_allclose(_correlations(q), before, atol=2e-5)


def _correlations(q):
    if type(q) is posteriors.FullNormal:
        covariance = as_numpy(q.covariance())
    elif type(q) is posteriors.LowRankNormal:
        factor = as_numpy(q.factor).reshape(q.rank, -1)
        scale = as_numpy(ops.softplus(q.rho)).ravel()
        covariance = np.diag(scale**2) + factor.T @ factor
    else:
        return None
    scale = np.sqrt(np.diag(covariance))
    return covariance / np.outer(scale, scale)


def test_a_rate_is_respected_when_they_are_set():
    q, _ = build(posteriors.MeanFieldNormal(scale_rate=RATE))
    q.assign_stddev(np.full(q.shape, 0.3))
    np.testing.assert_allclose(as_numpy(q.stddev()), 0.3, rtol=1e-5)


def test_what_is_refused():
    with pytest.raises(ValueError, match=r"scale_rate.*greater than 0"):
        posteriors.MeanFieldNormal(scale_rate=0.0)
    with pytest.raises(NotImplementedError, match="MatrixNormal cannot take"):
        make("matrix_normal")[0].assign_stddev(np.ones((3, 2)))
    for bad in (np.ones(3), np.zeros((3, 2)), np.full((3, 2), np.nan)):
        with pytest.raises(ValueError, match="must be positive numbers of the weight's shape"):
            make("mean_field")[0].assign_stddev(bad)
    point, _ = make("delta")
    point.assign_stddev(np.ones((3, 2)))
    assert not as_numpy(point.stddev()).any()
