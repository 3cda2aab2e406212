"""A posterior that answers for batches of any size keeps few programs, and compiles none twice."""

import warnings

import keras
import numpy as np
import pytest

import keras_priors as kp
from keras_priors import backend
from keras_priors.functional.row_blocks import bucket
from tests.inference.test_failures import LIKELIHOOD, METHODS, model_for, x_and_y

NAMES = [
    name for name in METHODS if name not in {"NUTS", "HMC", "SGHMC", "RandomizedMAP", "LowRank"}
]
"""One of each class of posteriors."""

SIZES = [1, 2, 3, 5, 6, 7, 9, 11, 13, 17, 21, 30, 33, 47, 50, 63, 66, 70, 71, 129]


@pytest.fixture
def traces(monkeypatch):
    """Grows by one whenever Python runs what is compiled: once a program where it is traced."""
    found = []
    compile_function = backend.compile_function

    def counted(function):
        def traced(*args):
            found.append(function)
            return function(*args)

        return compile_function(traced)

    monkeypatch.setattr(backend, "compile_function", counted)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_twenty_sizes_are_few_programs(name, traces):
    if not backend.is_traced():
        pytest.skip("nothing is compiled")
    keras.utils.set_random_seed(0)
    x, y = x_and_y()
    with warnings.catch_warnings():
        # So few draws and steps are not enough, which each method's own tests hold it to say.
        warnings.simplefilter("ignore", UserWarning)
        posterior = METHODS[name].fit(model_for(name), x, y, LIKELIHOOD, seed=0, verbose=0)
    rows = np.random.default_rng(1).standard_normal((max(SIZES), x.shape[1])).astype("float32")
    number = min(2, posterior.default_num_samples)

    def predict(size):
        return posterior.predict(rows[:size], number, seed=3, verbose=0).draws

    traces.clear()
    predict(8)
    first = len(traces)
    programs = {bucket(size) for size in SIZES} | {8}
    all_rows = predict(max(SIZES))
    for size in SIZES:
        np.testing.assert_allclose(predict(size), all_rows[:, :size], rtol=1e-4, atol=1e-5)
    assert len(traces) <= first * len(programs)
    known = len(traces)
    for size in SIZES:
        predict(size)
    assert len(traces) == known


@pytest.mark.parametrize(
    ("count", "size"),
    [(1, 1), (2, 2), (3, 4), (33, 64), (64, 64), (65, 72), (128, 128), (129, 144), (1000, 1024)],
)
def test_a_bucket_is_a_power_of_two_or_an_eighth_above(count, size):
    assert bucket(count) == (size if backend.is_traced() else count)


def test_buckets_are_few_and_close():
    if not backend.is_traced():
        pytest.skip("nothing is compiled")
    sizes = np.array([bucket(count) for count in range(1, 16_385)])
    assert len(set(sizes)) == 71
    assert np.all(sizes >= np.arange(1, 16_385))
    assert np.max(sizes[64:] / np.arange(65, 16_385)) < 1.125


def test_no_chunk_is_above_the_batch_size():
    model = model_for("MAP")
    seen = []

    class Watching(keras.layers.Layer):
        def call(self, x):
            seen.append(x.shape[0])
            return x

    watched = keras.Sequential([keras.Input((3,)), Watching(), *model.layers])
    seen.clear()
    kp.predict(watched, np.zeros((100, 3), "float32"), batch_size=33, verbose=0)
    # 100 rows in four chunks of 25, whose bucket is 32.
    assert {size for size in seen if size} == {32 if backend.is_traced() else 25}
