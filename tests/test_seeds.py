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


def test_a_seed_of_numpy_is_saved():
    assert kp.VariationalDense(1, seed=np.int64(3)).get_config()["seed"] == 3
