"""With a prior as regularizer, plain `fit` finds what scikit-learn finds for the same penalty."""

import keras
import numpy as np
import pytest
from keras import ops
from sklearn.linear_model import Lasso, LogisticRegression

import keras_priors as kp

N, D = 63, 4
NOISE = 0.5


def inputs():
    return np.random.default_rng(1).normal(size=(N, D)).astype("float32")


def fitted_kernel(x, y, prior, likelihood, batch_size, rate):
    """The kernel after some 1800 steps or more, which decay to a thousandth."""
    passes = 200 if batch_size < N else 1600
    dense = keras.layers.Dense(1, use_bias=False, kernel_regularizer=prior)
    model = keras.Sequential([keras.Input((D,)), dense])
    decay = keras.optimizers.schedules.CosineDecay(rate, passes * N // batch_size, alpha=1e-3)
    model.compile(keras.optimizers.SGD(decay), likelihood)
    assert kp.set_num_data(model, (x, y)) == N
    # Few long epochs: Keras takes milliseconds to begin one.
    rows = np.tile(x, (passes // 4, 1)), np.tile(y, (passes // 4, 1))
    model.fit(*rows, batch_size=batch_size, epochs=4, shuffle=False, verbose=0)
    return ops.convert_to_numpy(ops.convert_to_tensor(dense.kernel))[:, 0]


@pytest.mark.parametrize("batch_size", [7, N])
def test_normal_prior_and_bernoulli_are_logistic_regression(batch_size):
    x, scale = inputs(), 0.4
    rng = np.random.default_rng(2)
    y = rng.binomial(1, 1 / (1 + np.exp(-x @ [2.0, -1.0, 0.5, 0.0]))).astype("float32")
    wanted = LogisticRegression(C=scale**2, fit_intercept=False, tol=1e-10).fit(x, y).coef_[0]
    flat = LogisticRegression(C=1e6, fit_intercept=False, tol=1e-10).fit(x, y).coef_[0]
    assert np.abs(wanted - flat).max() > 0.1  # else the prior says nothing, nor does this test
    found = fitted_kernel(
        x, y[:, None], kp.NormalPrior(0, scale), kp.likelihoods.Bernoulli(), batch_size, 1.0
    )
    np.testing.assert_allclose(found, wanted, atol=1e-3)


@pytest.mark.parametrize("batch_size", [7, N])
def test_laplace_prior_and_normal_are_the_lasso(batch_size):
    x, scale = inputs(), 0.05
    noise = NOISE * np.random.default_rng(3).normal(size=N)
    y = (x @ [1.0, -0.5, 0.25, 0.0] + noise).astype("float32")
    # |y - xw|^2 / (2 N) + alpha |w| is the negative log posterior times NOISE^2 / N.
    lasso = Lasso(NOISE**2 / (N * scale), fit_intercept=False, tol=1e-10)
    wanted = lasso.fit(x.astype("float64"), y.astype("float64")).coef_
    assert (wanted == 0).any() and (wanted != 0).sum() >= 2
    found = fitted_kernel(
        x, y[:, None], kp.LaplacePrior(0, scale), kp.likelihoods.Normal(NOISE), batch_size, 0.05
    )
    np.testing.assert_allclose(found, wanted, atol=1e-3)
