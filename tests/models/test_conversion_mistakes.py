"""What `to_variational` and its like refuse, and what they say."""

import keras
import numpy as np
import pytest

import keras_priors as kp
from tests.models._zoo import ZOO


def test_a_model_that_is_not_built():
    model = keras.Sequential([keras.layers.Dense(2)], name="lazy")
    for function in (kp.to_variational, kp.to_deterministic, kp.pretrained_prior):
        with pytest.raises(ValueError, match="lazy"):
            function(model)


def test_something_else_than_a_model():
    for function in (kp.to_variational, kp.to_deterministic, kp.pretrained_prior):
        with pytest.raises(TypeError, match=r"keras\.Model"):
            function("model")


def test_a_layer_rule_that_matches_nothing():
    with pytest.raises(ValueError, match=r"'firts'.*first"):
        kp.to_variational(ZOO["mlp"]()[0], layers="firts")


def test_a_prior_pattern_that_matches_nothing():
    with pytest.raises(ValueError, match=r"'kernl'.*kernel"):
        kp.to_variational(ZOO["mlp"]()[0], prior={"kernl": kp.NormalPrior()})


def test_a_regularizer_that_is_not_a_prior():
    dense = keras.layers.Dense(2, kernel_regularizer="l2")
    model = keras.Sequential([keras.Input((3,)), dense])
    with pytest.raises(ValueError, match="kernel_regularizer"):
        kp.to_variational(model)
    kp.to_variational(model, prior=kp.NormalPrior())  # said what takes its place


def test_all_frozen():
    model = ZOO["mlp"]()[0]
    model.trainable = False
    with pytest.raises(ValueError, match="trainable"):
        kp.to_variational(model)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"estimator": "nope"}, "first cannot be made variational.*`estimator`"),
        ({"num_data": 0}, "first cannot be made variational.*`num_data`"),
        ({"posterior": "low_rank", "estimator": "flipout"}, "first cannot.*reparameterization"),
        ({"prior": {"second/kernel": kp.NormalPrior(np.zeros(5))}}, "kernel of second.*shape"),
        ({"prior": kp.HalfNormalPrior(1.0)}, "kernel of first.*LogNormal"),
    ],
)
def test_the_layer_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        kp.to_variational(ZOO["mlp"]()[0], **arguments)


def test_a_pattern_without_a_prior():
    with pytest.raises(TypeError, match=r"'first/\*' must be a prior"):
        kp.to_variational(ZOO["mlp"]()[0], prior={"first/*": None})


def test_bad_start():
    with pytest.raises(ValueError, match="start='warm'"):
        kp.to_variational(ZOO["mlp"]()[0], start="warm")
