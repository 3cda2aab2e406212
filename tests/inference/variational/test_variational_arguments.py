"""What variational inference refuses before it begins."""

import keras
import numpy as np
import pytest

import keras_priors as kp


def test_full_rank_says_what_to_use_for_many_weights():
    model = keras.Sequential(
        [
            keras.Input((20000,)),
            keras.layers.Dense(1, use_bias=False, kernel_regularizer=kp.NormalPrior(0, 1)),
        ]
    )
    with pytest.raises(ValueError, match=r"Use keras_priors\.inference\.LowRank"):
        kp.inference.FullRank().fit(
            model, np.ones((2, 20000)), np.ones((2, 1)), kp.likelihoods.Normal(1.0), seed=0
        )


@pytest.mark.parametrize("name", ["num_steps", "learning_rate", "num_samples", "initial_scale"])
def test_arguments_must_be_positive(name):
    with pytest.raises(ValueError, match=name):
        kp.inference.LowRank(**{name: -1})
    assert f"{name}=" in repr(kp.inference.LowRank())
