"""Noise of one layer that must not be the noise of another part of it."""

import numpy as np
import pytest
from keras import ops

import keras_priors as kp

DRAWS = 100


@pytest.mark.parametrize("kind", ["Dense", "Conv1D", "EinsumDense"])
def test_flipouts_signs_of_inputs_are_not_those_of_outputs(kind):
    """Were they the same, no row would see the sign of w_jj change."""
    posterior = kp.posteriors.MeanFieldNormal(1.0)
    arguments, kwargs = {
        "Dense": ((16,), {"use_bias": False}),
        "Conv1D": ((16, 1), {"use_bias": False}),
        "EinsumDense": (("nc,cd->nd", (16,)), {}),
    }[kind]
    layer = getattr(kp, f"Variational{kind}")(
        *arguments, kernel_posterior=posterior, estimator="flipout", num_data=1, seed=0, **kwargs
    )
    x = np.zeros((40, 16), "float32")
    x[:, 5] = 1.0
    x = x[:, None] if kind == "Conv1D" else x
    y = ops.convert_to_numpy(layer(x, training=True) - layer(x)).reshape(40, 16)
    size = np.abs(y[0])
    np.testing.assert_allclose(np.abs(y), np.repeat(size[None], 40, axis=0), rtol=1e-4, atol=1e-6)
    signs = np.sign(y)
    # 40 flips of a fair coin, in each of 16 columns.
    assert np.all(np.abs(signs.sum(axis=0)) < 4.5 * 40**0.5)
    # Products of a row's signs are those of its outputs: no two columns agree everywhere.
    agree = signs.T @ signs / 40 - np.eye(16)
    assert np.abs(agree).max() < 4.5 / 40**0.5


@pytest.mark.parametrize(
    ("rank", "estimator"),
    [
        (1, "reparameterization"),
        (1, "local_reparameterization"),
        (1, "flipout"),
        (2, "reparameterization"),
    ],
)
def test_the_maps_of_a_separable_convolution_have_noise_of_their_own(rank, estimator):
    """A product of two independent N(0, 1) has the mean 0; of one and itself, 1."""
    posterior = kp.posteriors.MeanFieldNormal(1.0)
    layer = getattr(kp, f"VariationalSeparableConv{rank}D")(
        1,
        1,
        use_bias=False,
        depthwise_posterior=posterior,
        pointwise_posterior=posterior,
        depthwise_initializer="zeros",
        pointwise_initializer="zeros",
        estimator=estimator,
        num_data=1,
        seed=0,
    )
    x = np.ones((1, *[1] * rank, 1), "float32")
    y = np.array([ops.convert_to_numpy(layer(x, training=True)).item() for _ in range(DRAWS)])
    assert abs(y.mean()) < 4 / DRAWS**0.5
    # E y^2 = 1 and E y^4 = 9, so that the standard error of the second moment is sqrt(8 / S).
    assert abs((y**2).mean() - 1.0) < 4 * (8 / DRAWS) ** 0.5
