"""A quantized base is a frozen one: its log posterior has all derivatives, on each backend."""

import threading

import keras
import numpy as np
import pytest
from keras import layers, ops

import keras_priors as kp
from keras_priors.functional.pure_outputs import _not_rounded
from keras_priors.inference import Laplace, LogPosterior, MeanField

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def array(tensor):
    return ops.convert_to_numpy(tensor)


def net():
    """Dense and EinsumDense with LoRA on a frozen base, and a head."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.EinsumDense("bd,dnh->bnh", (2, 3), activation="tanh", name="heads"),
            layers.Flatten(),
            layers.Dense(3, name="out"),
        ]
    )
    for name in ("heads", "out"):
        layer = model.get_layer(name)
        layer.enable_lora(2, lora_alpha=3.0)
        layer.lora_kernel_b.assign(keras.random.normal(layer.lora_kernel_b.shape, stddev=0.3))
    model.get_layer("out").bias.trainable = False
    kp.set_priors(model, {"*lora*": kp.NormalPrior(0, 1)})
    return model


def quantized(mode="int8"):
    """(a quantized net, the same with the kernels that it has then, as numbers)."""
    plain, model = net(), net()
    model.quantize(mode, filters=lambda layer: layer.name in ("heads", "out"))
    for name in ("heads", "out"):
        kernel = plain.get_layer(name)._kernel
        scale = np.abs(array(kernel)).max(0, keepdims=True) / 127.0
        kernel.assign(array(model.get_layer(name)._kernel).astype("float32") * scale)
        assert 0.0 < np.abs(array(kernel) - array(net().get_layer(name)._kernel)).max() < 0.01
    return model, plain


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    return rng.normal(size=(20, 4)).astype("float32"), rng.integers(0, 3, 20)


def test_the_log_posterior_is_that_of_the_kernels_as_numbers(data):
    model, plain = quantized()
    found = LogPosterior(model, *data, LOSS).value_and_gradient()
    expected = LogPosterior(plain, *data, LOSS).value_and_gradient()
    assert found[0] == pytest.approx(expected[0], rel=1e-5)
    assert set(found[1]) == set(expected[1]) and len(found[1]) == 4
    for path, slope in expected[1].items():
        assert np.abs(slope).max() > 0.1
        np.testing.assert_allclose(found[1][path], slope, rtol=1e-3, atol=1e-4)
    # Outside of it the layer rounds what it multiplies, as before.
    assert model.get_layer("out").inputs_quantizer is not None
    difference = np.abs(array(model(data[0])) - array(plain(data[0]))).max()
    assert 1e-4 < difference < 0.05


def test_derivatives_of_all_kinds_are_taken_through_it(data, tmp_path):
    model, plain = quantized()
    # By Jacobians, forward mode, and slopes at what each layer gives.
    for structure in ("full", "low_rank", "kronecker"):
        method = Laplace(structure, max_iterations=0, tolerance=1e9)
        found, expected = (method.fit(m, *data, LOSS, seed=0, verbose=0) for m in (model, plain))
        for path, stddev in expected.stddev().items():
            np.testing.assert_allclose(found.stddev()[path], stddev, rtol=1e-3)
    found.save(tmp_path / "lora.posterior")
    loaded = kp.inference.Posterior.load(tmp_path / "lora.posterior")
    assert [loaded.model.get_layer(x).lora_alpha for x in ("heads", "out")] == [3.0, 3.0]
    np.testing.assert_allclose(
        loaded.predict(data[0], seed=0).probabilities,
        found.predict(data[0], seed=0).probabilities,
        atol=1e-5,
    )


def test_a_search_goes_through_it(data):
    model, _ = quantized()
    posterior = MeanField(num_steps=30).fit(model, *data, LOSS, seed=0, verbose=0)
    assert set(posterior.mean()) == {
        f"{layer}/lora_kernel_{factor}" for layer in ("heads", "out") for factor in "ab"
    }


def test_int4_has_its_derivatives_too(data):
    model = net()
    model.quantize("int4", filters=lambda layer: layer.name in ("heads", "out"))
    slopes = LogPosterior(model, *data, LOSS).value_and_gradient()[1]
    for name in ("heads", "out"):
        factor = model.get_layer(name).lora_kernel_a
        value, step = array(factor), np.zeros(factor.shape, "float32")
        step.flat[2] = 0.02
        around = []
        for sign in (1.0, -1.0):
            factor.assign(value + sign * step)
            around.append(LogPosterior(model, *data, LOSS)())
        factor.assign(value)
        slope = float(slopes[f"{name}/lora_kernel_a"].flat[2])
        assert (around[0] - around[1]) / 0.04 == pytest.approx(slope, abs=0.02 * abs(slope) + 0.02)


def test_threads_wait_for_each_other():
    model, _ = quantized()
    layer = model.get_layer("out")
    quantizer, entered, leave = layer.inputs_quantizer, threading.Event(), threading.Event()
    seen = []

    def first():
        with _not_rounded(model):
            entered.set()
            leave.wait(30)

    def second():
        entered.wait(30)
        with _not_rounded(model):
            seen.append((leave.is_set(), layer.inputs_quantizer))

    threads = [threading.Thread(target=target) for target in (first, second)]
    for thread in threads:
        thread.start()
    entered.wait(30)
    threads[1].join(0.2)
    leave.set()
    for thread in threads:
        thread.join(30)
    # The second was let in when the first had put all back.
    assert seen == [(True, None)]
    assert layer.inputs_quantizer is quantizer
