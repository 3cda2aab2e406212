"""Seeds: pairs of words, the same on every backend, and where they lie."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_priors import backend

BACKEND = keras.config.backend()


def words(seed):
    return (ops.convert_to_numpy(seed).astype("int64") % 2**32).tolist()


def reference(seed):
    return np.random.SeedSequence(seed).generate_state(2).tolist()


def test_next_seed_is_that_of_keras_and_leaves_the_same_state():
    ours, theirs = keras.random.SeedGenerator(7), keras.random.SeedGenerator(7)
    for _ in range(3):
        assert words(backend.next_seed(ours)) == words(theirs.next())
        assert words(ours.state.value) == words(theirs.state.value)
    ours.state.assign(np.array([4, 9], "uint32"))
    assert words(backend.next_seed(ours)) == [4, 9]
    assert words(backend.as_seed(ours)) == [4, 10]
    assert words(ours.state.value) == [4, 11]


def test_next_seed_in_a_stateless_scope_leaves_the_state_alone():
    generator = keras.random.SeedGenerator(7)
    given = ops.convert_to_tensor([1, 5], dtype=generator.state.dtype)
    with keras.StatelessScope([(generator.state, given)]) as scope:
        assert [words(backend.next_seed(generator)) for _ in range(2)] == [[1, 5], [1, 6]]
    assert words(scope.get_current_value(generator.state)) == [1, 7]
    assert words(given) == [1, 5] and words(generator.state.value) == [7, 0]


@pytest.mark.parametrize("seed", [0, 5, 2**40])
def test_an_integer_is_hashed_alike_everywhere(seed):
    assert words(backend.as_seed(seed)) == reference(seed)
    spawned = backend.spawn_seeds(seed, 3)
    expected = np.random.SeedSequence(reference(seed)).generate_state(6).reshape(3, 2)
    np.testing.assert_array_equal(spawned, expected)
    np.testing.assert_array_equal(backend.spawn_seeds(seed, 2), expected[:2])


@pytest.mark.parametrize("make", [list, np.array, lambda pair: ops.convert_to_tensor(pair)])
def test_a_pair_of_words_stays_what_it_is(make):
    assert words(backend.as_seed(make([3, 2**31 - 1]))) == [3, 2**31 - 1]


def test_streams():
    seed = backend.as_seed(np.array([2**32 - 1, 8], "uint32"))
    assert backend.fold_in(seed, 0) is seed
    for stream in (1, 7, 1 << 20):
        moved = (2**32 - 1 + stream * 0x9E3779B9) % 2**32
        assert words(backend.fold_in(seed, stream)) == [moved, 8]


if BACKEND == "torch":
    import torch

    def test_seeds_lie_on_the_cpu_and_draws_where_keras_makes_tensors():
        generator = keras.random.SeedGenerator(1)
        seeds = [backend.next_seed(generator), backend.as_seed(generator), backend.as_seed(3)]
        seeds += [backend.as_seed(np.array([1, 2])), backend.fold_in(seeds[0], 4)]
        assert all(seed.is_cpu and seed.shape == (2,) for seed in seeds)
        for make in (backend.standard_normal, backend.random_signs):
            assert make((3,), seeds[0]).is_cpu
            with keras.device("meta"):
                assert make((3,), seeds[0]).is_meta

    def test_where_keras_infers_shapes_nothing_is_counted():
        generator = keras.random.SeedGenerator(1)
        with keras.device("meta"), keras.StatelessScope():
            assert backend.next_seed(generator).is_meta
            assert backend.fold_in(backend.as_seed(generator), 4).is_meta
        assert words(backend.next_seed(generator)) == [1, 0]

    def test_the_state_counts_on_from_the_largest_number():
        ours, theirs = keras.random.SeedGenerator(1), keras.random.SeedGenerator(1)
        for generator in (ours, theirs):
            generator.state.assign(np.array([-1, 2**31 - 1], "int32"))
        for _ in range(2):
            assert backend.next_seed(ours).tolist() == theirs.next().tolist()
        assert words(ours.state.value) == words(theirs.state.value)

    def test_within_inference_mode():
        with torch.inference_mode():
            generator = keras.random.SeedGenerator(1)
            assert [backend.next_seed(generator).tolist() for _ in range(2)] == [[1, 0], [1, 1]]
