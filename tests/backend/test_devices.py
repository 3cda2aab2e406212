"""Chains over devices where there is one: as if nobody had asked. Several: see inference."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_priors import backend

SEED = np.array([1, 2], "uint32")


def test_without_a_distribution_all_is_on_one_device():
    layout = backend.chain_layout(4, 8)
    assert layout is None
    assert backend.row_devices(layout) == 1
    value = {"z": ops.ones((4, 2))}
    assert backend.place(value, "c", layout) is value
    double = backend.compile_over_chains(lambda z: {"z": 2 * z["z"]}, ("c",), "c", layout)
    np.testing.assert_array_equal(ops.convert_to_numpy(double(value)["z"]), np.full((4, 2), 2.0))


def test_noise_of_chains_is_that_of_one_draw():
    seed = ops.convert_to_tensor(SEED)
    draws = ops.convert_to_numpy(backend.chain_normals((3, 5), seed))
    expected = ops.convert_to_numpy(backend.standard_normal((3, 5), seed))
    np.testing.assert_array_equal(draws, expected)


@pytest.mark.skipif(keras.config.backend() != "jax", reason="of JAX")
@pytest.mark.parametrize("first", [0, 1, 10, 2**32 - 3])
def test_a_part_of_a_draw_has_the_numbers_of_the_whole(first):
    """The words of a draw are numbered modulo 2^32."""
    import jax

    from keras_priors.backend.jax.noise import normals_from, standard_normal

    part = jax.jit(normals_from, static_argnums=0)((2, 5), SEED, np.uint32(first))
    places = (first + np.arange(10, dtype="uint64")) % 2**32
    near = places < 40
    whole = np.asarray(standard_normal((40,), SEED))
    np.testing.assert_array_equal(np.ravel(part)[near], whole[places[near]])
    assert near.any()
