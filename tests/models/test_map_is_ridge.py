"""With `num_data` doing the scaling, plain `fit` finds the ridge solution at any batch size."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_priors.models import set_num_data
from keras_priors.priors import NormalPrior

N, D = 63, 3
NOISE, SCALE = 0.5, 0.15


def negative_log_likelihood(y, mean):
    return ops.sum(ops.square(y - mean), axis=-1) / (2.0 * NOISE**2)


def data():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(N, D)).astype("float32")
    y = x @ [[1.0], [-0.5], [0.25]] + NOISE * rng.normal(size=(N, 1))
    return x, y.astype("float32")


def ridge(x, y):
    x, y = x.astype("float64"), y.astype("float64")
    return np.linalg.solve(x.T @ x + (NOISE / SCALE) ** 2 * np.eye(D), x.T @ y)


@pytest.mark.parametrize("batch_size", [7, N])
def test_map_of_linear_regression_is_ridge(batch_size):
    x, y = data()
    expected = ridge(x, y)
    least_squares = np.linalg.lstsq(x.astype("float64"), y.astype("float64"), rcond=None)[0]
    # The prior must matter, or the test says nothing.
    assert np.abs(expected - least_squares).max() > 0.1
    prior = NormalPrior(0.0, SCALE)
    dense = keras.layers.Dense(1, use_bias=False, kernel_regularizer=prior)
    model = keras.Sequential([keras.Input((D,)), dense])
    # An epoch of 20 copies costs TensorFlow little more than one of the data.
    copies, epochs = 20, 10
    # The Hessian's eigenvalues lie between about 4 and 8: a rate of 0.05 contracts; decayed to a
    # thousandth, it leaves nothing of the noise of the batches.
    steps = epochs * copies * N // batch_size
    rate = keras.optimizers.schedules.CosineDecay(0.05, steps, alpha=1e-3)
    model.compile(keras.optimizers.SGD(rate), negative_log_likelihood)
    assert set_num_data(model, (x, y)) == N
    x, y = np.tile(x, (copies, 1)), np.tile(y, (copies, 1))
    # In their order, so that every N // batch_size steps see each observation once.
    model.fit(x, y, batch_size=batch_size, epochs=epochs, shuffle=False, verbose=0)
    kernel = ops.convert_to_numpy(ops.convert_to_tensor(dense.kernel))
    np.testing.assert_allclose(kernel, expected, atol=1e-3)
