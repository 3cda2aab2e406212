"""Automatic names are unique within a model, as Keras' own are."""

import keras
import pytest

from keras_priors.layers import Variational
from tests.layers._twins import CASES, QUICK, keras_class, twin_class


@pytest.mark.parametrize("case", QUICK)
@pytest.mark.parametrize("wrapper_first", [False, True])
def test_twins_and_wrappers_of_one_class(case, wrapper_first):
    keras.utils.clear_session()
    arguments = CASES[case][1]

    def wrapped():
        return Variational(keras_class(case)(**arguments))

    def twin():
        return twin_class(case)(**arguments)

    makers = [wrapped, twin] if wrapper_first else [twin, wrapped]
    layers = [make() for make in (*makers, *makers, wrapped, twin)]
    names = [layer.name for layer in layers]
    assert len(set(names)) == len(names)


def test_twins_and_wrappers_in_one_model():
    keras.utils.clear_session()
    dense = keras.layers.Dense
    layers = [twin_class("dense")(3), Variational(dense(2)), Variational(dense(2), name=None)]
    model = keras.Sequential([keras.Input((3,)), *layers, twin_class("dense")(2)])
    names = ["variational_dense", *(f"variational_dense_{k}" for k in (1, 2, 3))]
    assert [layer.name for layer in model.layers] == names


def test_layers_named_alike_by_hand():
    keras.utils.clear_session()
    layers = [Variational(keras.layers.Dense(2, name="dense")) for _ in range(2)]
    assert layers[0].name != layers[1].name
    assert Variational(keras.layers.Dense(2), name="mine").name == "mine"
