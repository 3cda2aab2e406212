"""Keras' optimizers as pure functions, on the backend where Keras refuses too."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_priors import backend

OPTIMIZERS = {
    "adam": lambda: keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.1, 5)),
    "sgd": lambda: keras.optimizers.SGD(0.1, momentum=0.9, clipnorm=1.0),
    "adamw": lambda: keras.optimizers.AdamW(0.1, weight_decay=0.01),
}


def variables():
    return [
        keras.Variable(np.ones((3,), "float32"), trainable=False),
        keras.Variable(np.full((2, 2), -1.0, "float32"), trainable=False),
    ]


def gradients(values):
    return [2.0 * (v - 3.0) for v in values]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_are_those_of_the_optimizer_and_change_nothing_in_place(name):
    ours, theirs = variables(), variables()
    optimizer, stock = backend.stateless(OPTIMIZERS[name]()), OPTIMIZERS[name]()
    optimizer.build(ours)

    def step(state, _):
        values, moments = state
        values, moments = optimizer.stateless_apply(moments, gradients(values), values)
        return list(values), list(moments)

    def run(values, moments):
        return backend.fold(step, (values, moments), ops.zeros((7,)))

    given = (
        [ops.convert_to_tensor(v) for v in ours],
        [ops.convert_to_tensor(v) for v in optimizer.variables],
    )
    before = [ops.convert_to_numpy(ops.copy(v)) for part in given for v in part]
    found, _ = backend.compile_function(run)(*given)
    after = [ops.convert_to_numpy(v) for part in given for v in part]
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)
    stock.build(theirs)
    for _ in range(7):
        stock.apply(gradients([ops.convert_to_tensor(v) for v in theirs]))
    for value, variable in zip(found, theirs, strict=True):
        np.testing.assert_allclose(
            ops.convert_to_numpy(value), ops.convert_to_numpy(variable), rtol=1e-5
        )
