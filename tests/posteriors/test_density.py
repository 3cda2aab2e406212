"""Densities and entropies against SciPy."""

import numpy as np
import pytest
from keras import ops

from keras_priors import backend
from tests.posteriors._calculus import as_numpy, over_seeds, standard_errors
from tests.posteriors._families import (
    FAMILIES,
    SPREAD,
    build,
    make,
    raw_values,
    scipy_entropy,
    scipy_log_prob,
)


def point_of(family, shape=(3, 2), spread=1.0):
    w = np.random.default_rng(1).normal(0.0, spread, shape)
    return np.exp(w) if family == "log_normal" else w


@pytest.mark.parametrize("spread", [0.5, 5.0])
@pytest.mark.parametrize("family", SPREAD)
def test_log_prob(family, spread):
    posterior, variables = make(family)
    w = point_of(family, spread=spread)
    expected = scipy_log_prob(family, raw_values(variables), w.astype("float32").astype("float64"))
    value = posterior.log_prob(w.astype("float32"))
    assert tuple(value.shape) == ()
    np.testing.assert_allclose(float(as_numpy(value)), expected, rtol=2e-5)


@pytest.mark.parametrize("family", SPREAD)
def test_log_prob_of_its_own_draw_has_a_gradient_for_each_variable(family):
    from tests.posteriors._calculus import value_and_gradient

    posterior, variables = make(family)

    def density():
        return posterior.log_prob(posterior.sample(seed=3))

    value, gradients = value_and_gradient(density, list(variables.values()))
    assert np.isfinite(value)
    assert all(np.isfinite(g).all() for g in gradients)


@pytest.mark.parametrize("family", SPREAD)
def test_entropy(family):
    posterior, variables = make(family)
    expected = scipy_entropy(family, raw_values(variables))
    value = posterior.entropy()
    assert tuple(value.shape) == ()
    np.testing.assert_allclose(float(as_numpy(value)), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.closed_form
@pytest.mark.slow
@pytest.mark.parametrize("family", SPREAD)
def test_entropy_is_minus_the_mean_log_density(family):
    posterior, _ = make(family)
    draws = over_seeds(lambda seed: posterior.log_prob(posterior.sample(seed)), 1000)
    assert standard_errors(draws, -float(as_numpy(posterior.entropy()))) < 4


@pytest.mark.parametrize("rank", [1, 2, 6, 9])
def test_entropy_of_low_rank_for_every_rank(rank):
    from keras_priors import posteriors

    posterior, variables = build(posteriors.LowRankNormal(rank=rank))
    rng = np.random.default_rng(rank)
    variables["factor"].assign(rng.normal(0.0, 0.5, (rank, 3, 2)).astype("float32"))
    expected = scipy_entropy("low_rank", raw_values(variables))
    np.testing.assert_allclose(float(as_numpy(posterior.entropy())), expected, rtol=1e-4)


def test_a_point_has_no_entropy():
    posterior, _ = make("delta")
    assert float(as_numpy(posterior.entropy())) == 0.0


@pytest.mark.parametrize("family", FAMILIES)
def test_native_distribution(family):
    posterior, variables = make(family)
    native = posterior.distribution()
    assert backend.is_distribution(native)
    w = as_numpy(posterior.mean()) if family == "delta" else point_of(family)
    shape = (6,) if family in ("low_rank_1", "low_rank_3", "full") else (3, 2)
    assert tuple(native.batch_shape) + tuple(native.event_shape) == shape
    log_prob = native.log_prob(ops.convert_to_tensor(w.reshape(shape), dtype="float32"))
    raw = raw_values(variables)
    expected = 0.0 if family == "delta" else scipy_log_prob(family, raw, w)
    np.testing.assert_allclose(as_numpy(log_prob).sum(), expected, rtol=2e-5)
    mean = as_numpy(backend.mean(native)).reshape(3, 2)
    np.testing.assert_allclose(mean, as_numpy(posterior.mean()), rtol=1e-5)
    draw = backend.sample(native, (), backend.as_seed(0))
    assert tuple(draw.shape) == shape
