"""Factors of a low-rank adaptation have the Kronecker factors of the kernel that they make."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import keras_priors as kp
from keras_priors.inference import Laplace, LogPosterior
from keras_priors.inference.laplace.laplace_rows import LaplaceRows
from keras_priors.inference.laplace.last_layer import is_linear

NOISE = 0.5
SCALE = 1.5
RANK = 2


def adapted(kind):
    """(model of one linear layer with LoRA, inputs, targets) at factors that are not 0."""
    shape, layer = {
        "Dense": ((4,), layers.Dense(3, name="it")),
        "EinsumDense": ((4,), layers.EinsumDense("bd,dnh->bnh", (2, 3), name="it")),
        "two axes": ((2, 3), layers.EinsumDense("bnh,nhd->bd", 3, bias_axes="d", name="it")),
        "Conv1D": ((4, 2), layers.Conv1D(3, 4, name="it")),
    }[kind]
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input(shape), layer])
    layer.enable_lora(RANK, lora_alpha=3.0)
    if layer.bias is not None:
        layer.bias.trainable = False
    layer.lora_kernel_b.assign(keras.random.normal(layer.lora_kernel_b.shape))
    kp.set_priors(model, {"*lora*": kp.NormalPrior(0, SCALE)})
    rng = np.random.default_rng(0)
    x = rng.normal(size=(7, *shape)).astype("float32")
    y = array(model(x)) + rng.normal(size=model(x).shape).astype("float32")
    return model, x, y


def jacobian_of_lora(model, x):
    """df/d(A, B), (rows outputs, D): f is linear in each factor alone."""
    layer = model.get_layer("it")
    columns = []
    base = array(model(x))
    for factor in (layer.lora_kernel_a, layer.lora_kernel_b):
        value = array(factor)
        for index in np.ndindex(value.shape):
            moved = value.copy()
            moved[index] += 1.0
            factor.assign(moved)
            columns.append((array(model(x)) - base).reshape(-1))
        factor.assign(value)
    return np.stack(columns, -1).astype("float64")


def array(tensor):
    return ops.convert_to_numpy(tensor)


@pytest.mark.parametrize("kind", ["Dense", "EinsumDense", "two axes", "Conv1D"])
def test_the_block_of_each_factor_is_exact_for_one_linear_layer(kind):
    model, x, y = adapted(kind)
    posterior = Laplace("kronecker", max_iterations=0, tolerance=1e9).fit(
        model, x, y, kp.likelihoods.Normal(NOISE), seed=0, verbose=0
    )
    jacobian = jacobian_of_lora(model, x)
    precision = jacobian.T @ jacobian / NOISE**2 + np.eye(jacobian.shape[1]) / SCALE**2
    size = int(np.prod(model.get_layer("it").lora_kernel_a.shape))
    found = posterior.stddev()
    for name, part in (("a", slice(0, size)), ("b", slice(size, None))):
        expected = np.sqrt(np.diag(np.linalg.inv(precision[part, part])))
        np.testing.assert_allclose(found[f"it/lora_kernel_{name}"].reshape(-1), expected, rtol=1e-3)


def test_two_factors_are_no_linear_model():
    model, x, y = adapted("Dense")
    log_posterior = LogPosterior(model, x, y, kp.likelihoods.Normal(NOISE))
    rows = LaplaceRows(model, log_posterior.positions, kp.likelihoods.Normal(NOISE))
    assert not is_linear(rows)
    with pytest.raises(ValueError, match='use layers="all"'):
        Laplace(layers="last").fit(model, x, y, kp.likelihoods.Normal(NOISE), verbose=0)


def test_the_mode_of_normal_factors_has_the_nuclear_norm_of_their_product_for_prior():
    # min over A B = W of (|A|^2 + |B|^2) / 2 is |W|_*: singular values are moved towards 0.
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, use_bias=False, name="it")])
    layer = model.get_layer("it")
    layer.enable_lora(3)
    layer.lora_kernel_b.assign(keras.random.normal((3, 3), seed=1))
    kp.set_priors(model, {"*lora*": kp.NormalPrior(0, SCALE)})
    rng = np.random.default_rng(0)
    x = np.linalg.qr(rng.normal(size=(12, 4)))[0].astype("float32") * 4.0
    wanted = rng.normal(size=(4, 3)) @ np.diag([2.0, 0.5, 0.004])
    base = array(layer._kernel)
    y = (x @ (base + wanted)).astype("float32")
    posterior = kp.inference.MAP().fit(model, x, y, kp.likelihoods.Normal(NOISE), verbose=0)
    mode = posterior.mean()
    found = mode["it/lora_kernel_a"] @ mode["it/lora_kernel_b"]
    u, s, v = np.linalg.svd(wanted, full_matrices=False)
    threshold = NOISE**2 / (16.0 * SCALE**2)
    assert s[2] < threshold < s[1]
    np.testing.assert_allclose(found, u @ np.diag(np.maximum(s - threshold, 0.0)) @ v, atol=2e-3)
