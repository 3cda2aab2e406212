"""One call of the compiled function stays within the memory that it is given."""

import keras
import numpy as np
import pytest

import keras_priors as kp
from keras_priors import backend
from keras_priors.functional import row_blocks as _plan


def dense_net():
    return keras.Sequential(
        [keras.Input((64,)), kp.VariationalDense(100, num_data=9), kp.VariationalDense(10)]
    )


def conv_net():
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            kp.VariationalConv2D(16, 3, padding="same", num_data=9),
            keras.layers.Flatten(),
            keras.layers.Dense(5),
        ]
    )


# Model, a row, and the least floats that its input and its layers' outputs take.
NETS = {
    "dense": (dense_net, np.zeros((1, 64), "float32"), 64 + 100 + 10),
    "conv": (conv_net, np.zeros((1, 8, 8, 3), "float32"), 192 + 64 * 16 + 5),
}


@pytest.mark.parametrize("rows_that_fit", [1, 50, 3000])
@pytest.mark.parametrize("net", NETS)
def test_a_chunk_fits_the_memory(net, rows_that_fit, monkeypatch):
    make, row, floats = NETS[net]
    monkeypatch.setattr(_plan, "_BYTES", 4 * floats * rows_that_fit)
    for count in (1, 49, 10_000, None):
        rows = _plan.chunk_rows(make(), row, count, None)
        assert 1 <= rows <= rows_that_fit
        if count is not None:
            assert rows <= _plan.bucket(count)
    if net == "dense":  # at most half is left unused: a scale counts like a weight
        assert 2 * _plan.chunk_rows(make(), row, None, None) >= rows_that_fit


def test_chunks_are_even_and_as_large_as_asked():
    model, row = dense_net(), NETS["dense"][1]
    assert _plan.chunk_rows(model, row, 1000, 300, bucketed=False) == 250
    assert _plan.chunk_rows(model, row, 1000, 300) == (256 if backend.is_traced() else 250)
    assert _plan.chunk_rows(model, row, 1000, 255) == 250 + 5 * backend.is_traced()
    assert _plan.chunk_rows(model, row, 100, 300) == (104 if backend.is_traced() else 100)
    assert _plan.chunk_rows(model, row, None, 300) == 300


@pytest.mark.parametrize("draws_that_fit", [1, 7, 64])
def test_the_draws_of_a_call_fit_the_memory(draws_that_fit, monkeypatch):
    model, row = dense_net(), NETS["dense"][1]
    weights = model.count_params() // 2  # of each a mean and a scale
    monkeypatch.setattr(_plan, "_BYTES", 4 * draws_that_fit * (2 * weights + 2 + 20 * 100))
    for num_draws in (1, 5, 64, 1000):
        draws = _plan.draws_per_call(model, row, 20, num_draws)
        assert 1 <= draws <= min(num_draws, draws_that_fit)


def test_little_memory_changes_no_prediction(monkeypatch):
    model = dense_net()
    x = np.random.default_rng(0).normal(size=(23, 64)).astype("float32")
    whole = kp.predict(model, x, num_samples=6, likelihood=kp.likelihoods.Categorical(), seed=1)
    monkeypatch.setattr(_plan, "_BYTES", 4 * 174 * 5)
    parts = kp.predict(model, x, num_samples=6, likelihood=kp.likelihoods.Categorical(), seed=1)
    np.testing.assert_allclose(parts.draws, whole.draws, rtol=1e-4, atol=1e-5)
