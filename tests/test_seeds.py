"""One rule for seeds: an integer of at least 0, or None; refused where it is given."""

import keras
import numpy as np
import pytest

import keras_priors as kp


def predict(seed):
    model = keras.Sequential([keras.Input((2,)), kp.VariationalDense(1)])
    return kp.predict(model, np.ones((2, 2)), 2, seed=seed)


TAKES_A_SEED = {
    "VariationalDense": lambda seed: kp.VariationalDense(1, seed=seed),
    "VariationalConv2D": lambda seed: kp.VariationalConv2D(1, 3, seed=seed),
    "Variational": lambda seed: kp.layers.Variational(keras.layers.Dense(1), seed=seed),
    "initializer": lambda seed: kp.NormalPrior().initializer(seed=seed),
    "SGLDOptimizer": lambda seed: kp.inference.SGLDOptimizer(0.1, num_data=2, seed=seed),
    "sample": lambda seed: kp.NormalPrior().sample((2,), seed=seed),
    "predict": predict,
}


@pytest.mark.parametrize("name", TAKES_A_SEED)
def test_what_is_no_seed_is_refused(name):
    with pytest.raises(ValueError, match=r"integer of at least 0.*Received: seed=-1\. Write"):
        TAKES_A_SEED[name](-1)
    for seed in ("1", 1.5, True):
        with pytest.raises(TypeError, match=r"must be an integer.*Received: seed=.*Write"):
            TAKES_A_SEED[name](seed)


@pytest.mark.parametrize("name", sorted(set(TAKES_A_SEED) - {"predict"}))
def test_seeds_are_taken(name):
    for seed in (None, 0, np.int64(3)):
        TAKES_A_SEED[name](seed)


KEPT = sorted(set(TAKES_A_SEED) - {"predict", "sample"})


@pytest.mark.parametrize("name", KEPT)
def test_what_keras_does_not_take_on_every_backend_is_refused(name):
    for seed, instead in ((2**31, 0), (2**40 + 5, 5)):
        rule = rf"at most 2\^31 - 1 = 2147483647.*Received: seed={seed}\. Write.*seed={instead}\."
        with pytest.raises(ValueError, match=rule):
            TAKES_A_SEED[name](seed)


def test_the_largest_seeds_are_used():
    layer = kp.VariationalDense(1, seed=2**31 - 1)
    outputs = layer(np.ones((2, 2)), training=True)
    assert np.isfinite(keras.ops.convert_to_numpy(outputs)).all()
    # Those that are used at once are hashed.
    assert predict(2**40).draws.shape == (2, 2, 1)


def test_a_fresh_seed_of_an_optimizer_is_one_that_it_takes():
    for _ in range(8):  # in each, a seed of 32 bits would be refused with a probability of 1/2
        optimizer = kp.inference.SGLDOptimizer(0.1, num_data=2)
        again = kp.inference.SGLDOptimizer.from_config(optimizer.get_config())
        assert again.seed == optimizer.seed


def test_a_seed_of_numpy_is_saved():
    assert kp.VariationalDense(1, seed=np.int64(3)).get_config()["seed"] == 3
