"""Scales of normal densities are known; what the program does with a scale is linear algebra."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_priors import backend
from keras_priors.inference.mcmc.learned_scale import learned_scale
from keras_priors.inference.mcmc.scales import (
    kind_of,
    slope_by_q,
    slope_by_z,
    to_q,
    to_z,
    unit_scale,
)
from keras_priors.inference.mcmc.warmup import rescaled

TORCH = keras.backend.backend() == "torch"
KINDS = ["diagonal", "dense", "low_rank"]


def covariance_of(size, spikes=(99.0, 9.0, -0.99)):
    """Scales from 0.1 to 10, and three directions in which weights are correlated."""
    rng = np.random.default_rng(1)
    directions = np.linalg.qr(rng.standard_normal((size, len(spikes))))[0]
    widths = np.geomspace(0.1, 10.0, size)
    return widths[:, None] * (np.eye(size) + directions * spikes @ directions.T) * widths


def window(covariance, scale, draws, chains=4, seed=0, center=None):
    """Draws of z and their gradients by q."""
    z = np.random.default_rng(seed).standard_normal((draws, chains, len(covariance)))
    z = z @ np.linalg.cholesky(covariance).T
    slope = slope_by_q(-z @ np.linalg.inv(covariance), scale)
    return z + (0 if center is None else center), slope


def condition(covariance, scale):
    """The longest over the shortest sd that the scale leaves: 1 where it whitens."""
    left = np.linalg.eigvalsh(to_q(to_q(covariance, scale).T, scale))
    return np.sqrt(left[-1] / left[0])


def matrix(scale):
    return to_z(np.eye(len(scale[0])), scale).T


def some_scale(kind, size=5):
    rng = np.random.default_rng(0)
    widths = rng.uniform(0.5, 2.0, size).astype("float32")
    if kind == "diagonal":
        return (widths,)
    if kind == "dense":
        return (rng.uniform(-1, 1, (size, size)).astype("float32") + np.eye(size, dtype="float32"),)
    directions = np.linalg.qr(rng.standard_normal((size, 2)))[0]
    return widths, directions.astype("float32"), np.array([3.0, -0.7], "float32")


@pytest.mark.parametrize("kind", KINDS)
def test_a_scale_is_a_matrix(kind):
    scale = some_scale(kind)
    q, slope = np.random.default_rng(1).standard_normal((2, 4, 5))
    f = matrix(scale)
    assert kind_of(scale) == kind
    if kind == "low_rank":
        s, u, c = scale
        np.testing.assert_allclose(f, s[:, None] * (np.eye(5) + u * c @ u.T), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(to_z(q, scale), q @ f.T, rtol=1e-6)
    np.testing.assert_allclose(to_q(q @ f.T, scale), q, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(slope_by_q(slope, scale), slope @ f, rtol=1e-6)
    np.testing.assert_allclose(slope_by_z(slope @ f, scale), slope, rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(TORCH, reason="PyTorch has no kernels")
@pytest.mark.parametrize(
    "kind", [pytest.param("diagonal", marks=pytest.mark.slow), "dense", "low_rank"]
)
def test_the_program_moves_in_the_scale(kind):
    """Of a normal density the log density and the slope at each recorded z are known."""
    precision = np.linalg.inv(covariance_of(5)).astype("float32")

    def density(z, data):
        slope = -(data @ z[:, None])[:, 0]
        return 0.5 * ops.sum(slope * z), slope

    scale = some_scale(kind)
    program = backend.hamiltonian(density, 3, 2, 0.8, False, None)
    z = np.random.default_rng(0).standard_normal((2, 5)) * 0.1
    slope = -z @ precision
    state = {
        "position": to_q(z, scale),
        "log_prob": 0.5 * np.sum(z * slope, axis=1),
        "gradient": slope_by_q(slope, scale),
        "step_size": 0.01,
        "error_sum": 0.0,
        "log_average": 0.0,
        "log_shrinkage": 0.0,
    }
    state = {name: ops.convert_to_tensor(v, dtype="float32") for name, v in state.items()}
    state["seed"] = ops.convert_to_tensor(np.array([1, 2], "uint32"))
    state["adapted"] = ops.convert_to_tensor(0, dtype="int32")
    last, drawn, found = program(
        state,
        ops.convert_to_tensor(3, dtype="int32"),
        ops.convert_to_tensor(False, dtype="bool"),
        tuple(ops.convert_to_tensor(part) for part in scale),
        ops.convert_to_tensor(precision),
    )
    drawn, slope, lp = (
        ops.convert_to_numpy(v).astype("float64") for v in (drawn, found["slope"], found["lp"])
    )
    assert np.all(np.ptp(drawn, axis=0) > 0)
    np.testing.assert_allclose(lp, -0.5 * np.sum(drawn @ precision * drawn, -1), rtol=1e-4)
    np.testing.assert_allclose(slope, slope_by_q(-drawn @ precision, scale), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(
        to_z(ops.convert_to_numpy(last["position"]), scale), drawn[-1], rtol=1e-4, atol=1e-5
    )


def test_a_normal_density_is_whitened_from_few_draws():
    """Condition 1e4 of variances and more: from 11 draws of 4 chains, as far as they go."""
    covariance = covariance_of(8)
    scale = unit_scale("auto", 8)
    assert condition(covariance, scale) > 100
    for draws, at_most in ((11, 2.0), (11, 1.05), (100, 1.01)):
        scale = learned_scale(*window(covariance, scale, draws), scale)
        assert condition(covariance, scale) < at_most
    np.testing.assert_allclose(matrix(scale) @ matrix(scale).T, covariance, rtol=0.05, atol=0.02)
    # Draws of the covariance alone would leave this; theirs are 400.
    z, _ = window(covariance, scale, 100)
    assert condition(covariance, (np.linalg.cholesky(np.cov(z.reshape(-1, 8).T)),)) > 1.2


def test_low_rank_takes_the_directions_that_are_correlated():
    covariance = covariance_of(60)
    scale, diagonal = unit_scale("low_rank", 60), unit_scale("diagonal", 60)
    for draws in (20, 100, 100):
        scale = learned_scale(*window(covariance, scale, draws), scale)
    diagonal = learned_scale(*window(covariance, diagonal, 100), diagonal)
    assert condition(covariance, diagonal) > 10
    assert condition(covariance, scale) < 2.1
    assert 3 <= np.count_nonzero(scale[2]) < 20
    np.testing.assert_allclose(scale[1].T @ scale[1], np.diag(scale[2] != 0), atol=1e-5)


@pytest.mark.parametrize("kind", ["dense", "low_rank"])
def test_correlations_that_do_not_hold_are_left_out(kind):
    """Chains that go along one diagonal, and then along the other, by the curvature of each."""
    scale = unit_scale(kind, 2)
    halves = [
        window(np.array([[1.0, r], [r, 1.0]]) * size, scale, 50)
        for r, size in ((0.99, 9), (-0.9, 1))
    ]
    first, last = (learned_scale(*half, scale) for half in halves)
    both = learned_scale(*(np.concatenate(parts) for parts in zip(*halves, strict=True)), scale)
    assert matrix(first)[0, 1] > 0.5 and matrix(last)[0, 1] < -0.3
    np.testing.assert_array_equal(matrix(both), np.diag(np.diag(matrix(both))))


def test_low_rank_looks_only_where_draws_and_gradients_are():
    """200 dimensions, 40 draws: the three directions and the diagonal, from their span."""
    covariance = covariance_of(200, spikes=(999.0, 99.0, 99.0))
    scale = unit_scale("low_rank", 200)
    before = condition(covariance, scale)
    for _ in range(2):
        scale = learned_scale(*window(covariance, scale, 10), scale)
    assert condition(covariance, scale) < before / 20


def test_a_diagonal_needs_no_draws_of_the_posterior():
    """sqrt(var z / var g) is the scale of independent weights, however far apart the draws are."""
    sd = np.array([0.01, 1.0, 30.0])
    scale = some_scale("diagonal", 3)
    z = np.random.default_rng(0).uniform(-7, 9, (3, 2, 3))
    found = learned_scale(z, slope_by_q(-(z - 5.0) / sd**2, scale), scale)
    np.testing.assert_allclose(found[0], sd, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_chains_in_modes_of_their_own_tell_the_width_of_one(kind):
    scale, covariance = unit_scale(kind, 3), np.diag([1.0, 4.0, 0.25])
    center = 100.0 * np.arange(4)[:, None] * np.array([1.0, -1.0, 2.0])
    found = learned_scale(*window(covariance, scale, 50, center=center), scale)
    np.testing.assert_allclose(matrix(found) @ matrix(found).T, covariance, rtol=0.1, atol=0.1)


@pytest.mark.parametrize("kind", KINDS)
def test_chains_that_stand_still_leave_the_scale(kind):
    scale = some_scale(kind)
    found = learned_scale(np.ones((25, 4, 5)), np.ones((25, 4, 5)), scale)
    if kind == "low_rank":
        scale = (np.ones(5, "float32"), np.zeros((5, 2)), np.zeros(2))
    np.testing.assert_allclose(matrix(found), matrix(scale), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_scale_leaves_the_position_where_it_is(kind):
    old, new = some_scale(kind), unit_scale(kind, 5)
    z, slope = np.random.default_rng(0).standard_normal((2, 4, 5))
    state = {"position": to_q(z, old), "gradient": slope_by_q(slope, old)}
    found = rescaled(state, old, new)
    np.testing.assert_allclose(to_z(found["position"], new), z, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(slope_by_z(found["gradient"], new), slope, rtol=1e-4, atol=1e-5)


def test_auto_is_dense_where_that_is_cheap():
    assert [kind_of(unit_scale("auto", size)) for size in (1, 100, 101)] == [
        "dense",
        "dense",
        "low_rank",
    ]
    assert [part.shape for part in unit_scale("auto", 1000)] == [(1000,), (1000, 50), (50,)]
