"""Whatever is wrapped does what it does by itself, with weights that are distributions."""

import json

import keras
import numpy as np
import pytest

from keras_priors import posteriors
from keras_priors.layers import Variational
from keras_priors.layers.weight_draws import WeightDraws
from tests.layers._wrapped import (
    EACH,
    MASKED,
    TWICE,
    USES_MASK,
    WRAPPED,
    assert_close,
    numbers,
    plain,
    rows,
    symbolic,
    wrapped,
)
from tests.posteriors._calculus import as_numpy

TINY = posteriors.MeanFieldNormal(1e-7)


def same_again(name, layer):
    """Another one with the same values."""
    other = plain(name)
    for v, source in zip(other.variables, layer.variables, strict=True):
        v.assign(keras.ops.copy(source))  # on JAX two variables would share the memory
    return other


@pytest.mark.parametrize("name", EACH)
def test_at_the_means_it_is_the_layer(name):
    layer = plain(name)
    expected = numbers(layer(*rows(name)))
    assert_close(wrapped(name, layer)(*rows(name)), expected, atol=1e-6)


@pytest.mark.parametrize("name", EACH)
def test_a_tiny_posterior_is_the_layer_in_training(name):
    layer = plain(name)
    other, x = same_again(name, layer), rows(name)
    wrapper = wrapped(name, layer, posterior=TINY)
    if name == "layer by hand":
        other.drop.rate = layer.drop.rate = 0.0  # its seed is its own
    assert_close(wrapper(*x, training=True), other(*x, training=True), rtol=1e-4, atol=1e-5)
    for v, there in zip(layer.non_trainable_variables, other.non_trainable_variables, strict=True):
        assert_close(v, there, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", EACH)
def test_a_scope_of_draws_is_the_layer_at_that_draw(name):
    layer = plain(name)
    other, x, wrapper = same_again(name, layer), rows(name), wrapped(name, layer)
    wrapper(*x)
    for q in wrapper.posteriors.values():
        q.rho.assign(np.full(q.shape, -1.0, "float32"))
    with WeightDraws(np.array([1, 2], "uint32")) as scope:
        drawn = numbers(wrapper(*x))
        weights = {id(q.loc): as_numpy(scope.draw(q)) for q in wrapper.posteriors.values()}
    for v, source in zip(other.trainable_variables, layer.trainable_variables, strict=True):
        v.assign(weights[id(source)])
    assert_close(drawn, other(*x), rtol=1e-4, atol=1e-5)
    assert any(np.abs(a - b).max() > 1e-3 for a, b in zip(drawn, numbers(layer(*x)), strict=True))


@pytest.mark.parametrize("name", EACH)
def test_a_shared_one_counts_its_kl_once(name):
    wrapper, inputs = wrapped(name), symbolic(rows(name))
    both = [keras.tree.flatten(wrapper(*inputs))[0] for _ in range(2)]
    model = keras.Model(keras.tree.flatten(inputs), keras.layers.Add()(both))
    assert len(model.losses) == len(wrapper.layer.trainable_variables)
    expected = as_numpy(wrapper.kl()) / 10
    np.testing.assert_allclose(sum(as_numpy(v) for v in model.losses), expected, rtol=1e-5)


@pytest.mark.parametrize("name", EACH)
def test_config_and_file(name, tmp_path):
    wrapper = wrapped(name, posterior=posteriors.MeanFieldNormal(0.3), kl_samples=2)
    inputs = symbolic(rows(name))
    model = keras.Model(keras.tree.flatten(inputs), wrapper(*inputs))
    text = json.dumps(wrapper.get_config())
    assert json.dumps(Variational.from_config(json.loads(text)).get_config()) == text
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    x = keras.tree.flatten(rows(name))
    assert_close(loaded(x), model(x), rtol=0, atol=0)
    (other,) = [layer for layer in loaded.layers if isinstance(layer, Variational)]
    assert list(other.posteriors) == list(wrapper.posteriors)
    np.testing.assert_allclose(as_numpy(other.kl()), as_numpy(wrapper.kl()), rtol=1e-6)


@pytest.fixture(params=["mixed_float16", "mixed_bfloat16"])
def policy(request):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy(before)


@pytest.mark.parametrize("name", EACH)
def test_half_precision(name, policy):
    layer, x = plain(name), rows(name)
    expected = numbers(layer(*x))
    wrapper = wrapped(name, layer, posterior=TINY)
    half = policy.removeprefix("mixed_")
    for training in (False, True):
        y = wrapper(*x, training=training)
        dtypes = {keras.backend.standardize_dtype(v.dtype) for v in keras.tree.flatten(y)}
        assert dtypes == {half}
        assert all(np.isfinite(v).all() for v in numbers(y))
    assert_close(wrapper(*x), expected, rtol=0.05, atol=0.1)
    assert {v.dtype for v in wrapper.trainable_variables} == {"float32"}
    draws = [q.sample(0) for q in wrapper.posteriors.values()]
    draws += [*wrapper.losses, wrapper.kl()]
    assert {keras.backend.standardize_dtype(w.dtype) for w in draws} == {"float32"}
    assert np.isfinite(as_numpy(wrapper.kl()))


@pytest.mark.parametrize("name", EACH)
def test_unknown_batch_and_length(name):
    layer = plain(name)
    other, wrapper = same_again(name, layer), wrapped(name, layer, posterior=TINY)
    # Keras' own gives one step alone where the length is unknown, on TensorFlow.
    known = name == "time distributed" and keras.backend.backend() == "tensorflow"
    inputs = symbolic(rows(name), open_axes=not known)
    model = keras.Model(keras.tree.flatten(inputs), wrapper(*inputs))
    for batch, length in ((3, 5), (1, 5 if known else 7)):
        x = rows(name, batch, length)
        y = model.predict(keras.tree.flatten(x), verbose=0, batch_size=2)
        assert_close(y, other(*x), rtol=1e-4, atol=1e-5)
        assert_close(model(keras.tree.flatten(x), training=False), y, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", [p for p in EACH if p.values[0] in MASKED])
def test_masks_reach_it_and_go_on_as_from_the_layer(name):
    x = rows(name)[0]
    x[:, -2:] = 0.0
    layer = plain(name)

    def call(called):
        # Anew: attention takes the mask off its input.
        masked = keras.layers.Masking()(x)
        return called(*(masked, masked) if name in TWICE else (masked,))

    expected, given = call(same_again(name, layer)), call(wrapped(name, layer))
    assert_close(given, expected, atol=1e-6)
    unmasked = numbers(layer(*(x, x) if name in TWICE else (x,)))
    if name in USES_MASK:
        assert np.abs(numbers(given)[0] - unmasked[0]).max() > 1e-4
    masks = [keras.src.backend.get_keras_mask(y) for y in (expected, given)]
    assert (masks[0] is None) == (masks[1] is None)
    assert masks[0] is None or np.array_equal(*[as_numpy(m) for m in masks])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Layer 'flatten:UserWarning")
@pytest.mark.parametrize("name", WRAPPED)
def test_it_trains(name):
    wrapper, inputs = wrapped(name), symbolic(rows(name), open_axes=False)
    y = keras.tree.flatten(wrapper(*inputs))[0]
    y = keras.layers.Dense(1)(keras.layers.Flatten()(y))
    model = keras.Model(keras.tree.flatten(inputs), y)
    model.compile(keras.optimizers.Adam(1e-2), "mse")
    before = [as_numpy(v).copy() for v in wrapper.trainable_variables]
    x = keras.tree.flatten(rows(name, 6))
    model.fit(x, np.ones((6, 1), "float32"), batch_size=3, epochs=2, verbose=0)
    for v, old in zip(wrapper.trainable_variables, before, strict=True):
        assert np.isfinite(as_numpy(v)).all() and np.any(as_numpy(v) != old), v.path
