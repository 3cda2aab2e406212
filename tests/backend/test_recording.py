"""A recorded function is the function, called or replayed, for each form of its arguments."""

import importlib

import keras
import numpy as np
import pytest
from keras import ops

from keras_priors import backend

MANY = 45  # calls: recorded at one in the middle
TORCH = keras.backend.backend() == "torch"


def counted(function):
    calls = []

    def counting(*args):
        calls.append(None)
        return function(*args)

    return backend.recorded(counting), calls


def tensor(values):
    return ops.convert_to_tensor(np.asarray(values, "float32"))


def slope_of(z, data):
    x, (y, weight) = data["x"], data["others"]
    slope = backend.value_and_gradient(
        lambda z: ops.sum(weight * ops.square(y - ops.matmul(x, ops.tanh(z))))
    )
    return {"both": slope(z), "moved": [z - 0.1 * slope(z)[1]]}


def arguments(rows, seed):
    random = np.random.default_rng(seed)
    x, y, weight = random.normal(size=(rows, 3)), random.normal(size=rows), np.ones(rows)
    data = {"x": tensor(x), "others": (tensor(y), tensor(weight))}
    return tensor(random.normal(size=3)), data


def test_values_and_structures_are_those_of_the_function_for_each_form():
    recorded, calls = counted(slope_of)
    for k in range(MANY):
        for rows in (4, 7):
            given = arguments(rows, k)
            expected, found = slope_of(*given), recorded(*given)
            keras.tree.map_structure(np.testing.assert_array_equal, *_numpy(expected, found))
    # Called 20 times and run once to record it, for each form; replayed from then on.
    assert len(calls) == (2 * 21 if TORCH else 2 * MANY)


def test_within_transformations_it_is_transformed():
    recorded, _ = counted(lambda z: ops.sum(ops.square(z)))
    for k in range(MANY):
        z = tensor(np.full((2, 3), k))
        recorded(z[0])
        each = backend.vectorize(lambda z: backend.value_and_gradient(recorded)(z)[1])(z)
        np.testing.assert_array_equal(*_numpy(each, 2.0 * z))


VARIABLE = keras.Variable(np.zeros(1, "float32"))


def looks(z):
    return z + 1.0 if float(ops.sum(z)) > 0 else z - 1.0


def writes(z):
    VARIABLE.assign(VARIABLE + 1.0)
    return z + VARIABLE


def draws(z):
    return z + 1e-6 * importlib.import_module("torch").rand_like(z)


RANDOM = np.random.default_rng(0)


def draws_by_a_hidden_state(z):
    return z + RANDOM.normal()


@pytest.mark.skipif(not TORCH, reason="nothing is recorded elsewhere")
@pytest.mark.parametrize("function", [looks, writes, draws, draws_by_a_hidden_state])
def test_what_is_no_function_of_its_arguments_alone_is_called(function):
    recorded, calls = counted(function)
    before = len(calls)
    found = [ops.convert_to_numpy(recorded(tensor([(-1.0) ** k]))) for k in range(MANY)]
    assert len(calls) - before >= MANY
    if function is looks:
        np.testing.assert_array_equal(found, [[2.0 * (-1.0) ** k] for k in range(MANY)])


@pytest.mark.skipif(not TORCH, reason="nothing is recorded elsewhere")
def test_numbers_among_the_arguments_are_no_tensors():
    recorded, calls = counted(lambda z, factor: z * factor)
    for k in range(MANY):
        np.testing.assert_array_equal(*_numpy(recorded(tensor([1.0]), k), tensor([k])))
    assert len(calls) == MANY


def _numpy(*structures):
    return [keras.tree.map_structure(ops.convert_to_numpy, each) for each in structures]
