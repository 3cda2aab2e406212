"""Priors inside Keras models: every dtype, compiler, way to share and to nest a layer."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

import keras_priors as kp
from keras_priors import priors as p
from tests._compiled import compiled
from tests.priors._models import X, every_prior, penalties, wide_model

BACKEND = keras.backend.backend()
Y = np.zeros((8, 2), "float32")


def expected_penalty(priors, kernel=0.5):
    w = np.full((3, 2), kernel, "float32")
    return -sum(float(prior.log_prob(w)) for prior in priors) / 8


def test_there_is_one_of_every_prior():
    classes = {name: vars(p)[name] for name in p.__all__ if isinstance(vars(p)[name], type)}
    public = {name for name, cls in classes.items() if issubclass(cls, p.Prior)} - {"Prior"}
    assert {type(prior).__name__ for prior in every_prior()} == public


# A penalty sees the dtype of the variables, which is float32 under both mixed policies.
@pytest.mark.parametrize(
    "policy",
    [
        "float32",
        "float16",
        "bfloat16",
        "float64",
        "mixed_float16",
        pytest.param("mixed_bfloat16", marks=pytest.mark.slow),
    ],
)
def test_every_prior_trains_under_every_dtype_policy(policy):
    if policy == "float64" and BACKEND == "jax":
        pytest.skip("JAX is without float64 by default: see the test in a process with it")
    keras.config.set_dtype_policy(policy)
    if "mixed" not in policy:
        keras.config.set_floatx(policy)
    priors = every_prior()
    model = wide_model(priors)
    for loss in model.losses:
        assert keras.backend.standardize_dtype(loss.dtype) == keras.config.floatx()
        assert np.isfinite(ops.convert_to_numpy(ops.cast(loss, "float32")))
    np.testing.assert_allclose(penalties(model), expected_penalty(priors), rtol=2e-2)
    before = [ops.convert_to_numpy(ops.cast(w, "float32")) for w in model.trainable_weights]
    model.compile(keras.optimizers.SGD(0.05), loss="mse")
    # Small inputs: Keras skips a float16 step whose scaled gradients overflow.
    history = model.fit(0.01 * X, Y, batch_size=8, epochs=1, verbose=0)
    assert np.isfinite(ops.convert_to_numpy(ops.cast(history.history["loss"][0], "float32")))
    moved = {}
    for old, weight in zip(before, model.trainable_weights, strict=True):
        new = ops.convert_to_numpy(ops.cast(weight, "float32"))
        assert np.isfinite(new).all()
        moved[weight.path] = bool((new != old).any())
    # A weight in half precision does not show a small step.
    assert any(moved.values()) if policy in ("float16", "bfloat16") else all(moved.values()), moved


FLOAT64 = """
import json

import keras
import numpy as np

keras.config.set_floatx("float64")

from tests.priors._models import X, every_prior, wide_model

w = np.full((3, 2), 0.5)
priors = every_prior()
model = wide_model(priors)
found = {"penalty": [], "log_prob": [], "dtype": []}
for prior, loss in zip(priors, model.losses, strict=True):
    found["penalty"].append(float(loss))
    value = prior.log_prob(keras.ops.convert_to_tensor(w, dtype="float64"))
    found["log_prob"].append(float(value))
    found["dtype"] += [str(value.dtype), str(loss.dtype)]
before = [keras.ops.convert_to_numpy(v) for v in model.trainable_weights]
model.compile(keras.optimizers.SGD(0.05), loss="mse")
history = model.fit(0.01 * X, np.zeros((8, 2)), batch_size=8, epochs=1, verbose=0)
after = [keras.ops.convert_to_numpy(v) for v in model.trainable_weights]
found["loss"] = float(history.history["loss"][0])
found["moved"] = [bool((a != b).any()) for a, b in zip(after, before, strict=True)]
found["finite"] = [bool(np.isfinite(a).all()) for a in after]
found["dtype"] += [str(a.dtype) for a in after]
print("RESULT" + json.dumps(found))
"""


@pytest.mark.slow
@pytest.mark.skipif(BACKEND != "jax", reason="the other backends have float64 by default")
def test_every_prior_trains_in_float64_in_a_process_that_has_it(project_root):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FLOAT64],
        cwd=project_root,
        env={**os.environ, "JAX_ENABLE_X64": "1", "KERAS_BACKEND": "jax", "PYTHONPATH": "."},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("RESULT")]
    found = json.loads(line.removeprefix("RESULT"))
    assert set(found["dtype"]) == {"float64"}
    assert all(found["moved"])
    assert all(found["finite"])
    assert np.isfinite(found["loss"])
    values = [float(prior.log_prob(np.full((3, 2), 0.5, "float32"))) for prior in every_prior()]
    np.testing.assert_allclose(found["log_prob"], values, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found["penalty"], -np.array(found["log_prob"]) / 8, rtol=1e-12)


def _one_step(**compiled):
    keras.utils.set_random_seed(1)
    model = wide_model(every_prior())
    model.compile(keras.optimizers.SGD(0.01), loss="mse", **compiled)
    model.fit(X, Y, batch_size=8, epochs=1, verbose=0)
    return [ops.convert_to_numpy(w) for w in model.trainable_weights]


@compiled
def test_jit_compile_takes_the_same_step():
    for eager, fused in zip(_one_step(jit_compile=False), _one_step(jit_compile=True), strict=True):
        np.testing.assert_allclose(fused, eager, rtol=1e-4, atol=1e-6)


def test_a_step_follows_the_gradient_of_the_penalty():
    # With outputs that do not depend on the weights, the step is that of the prior alone.
    prior = p.LaplacePrior(0.0, 0.5, num_data=8)
    model = wide_model([prior], kernel=0.3)
    model.compile(keras.optimizers.SGD(0.1), loss="mse")
    model.fit(np.zeros_like(X), Y, batch_size=4, epochs=1, verbose=0)
    kernel = ops.convert_to_numpy(model.trainable_weights[0])
    np.testing.assert_allclose(kernel, 0.3 - 2 * 0.1 / 0.5 / 8, rtol=1e-5)


def test_a_frozen_weight_has_no_penalty():
    model = wide_model([p.NormalPrior(), p.CauchyPrior()])
    both = penalties(model)
    model.layers[1].trainable = False
    assert penalties(model) == pytest.approx(expected_penalty([p.CauchyPrior()]), rel=1e-5)
    model.layers[1].trainable = True
    assert penalties(model) == pytest.approx(both, rel=1e-6)


def test_a_shared_layer_counts_once():
    prior = p.LaplacePrior(num_data=8)
    x = keras.Input((2,))
    layer = keras.layers.Dense(
        2, use_bias=False, kernel_initializer="ones", kernel_regularizer=prior
    )
    model = keras.Model(x, layer(layer(x)))
    once = -float(prior.log_prob(np.ones((2, 2), "float32"))) / 8
    assert penalties(model) == pytest.approx(once, rel=1e-5)
    model.compile(keras.optimizers.SGD(0.0), loss="mse")
    history = model.fit(np.zeros((8, 2)), np.zeros((8, 2)), verbose=0)
    assert history.history["loss"][0] == pytest.approx(once, rel=1e-5)


def test_a_nested_model_counts_once():
    priors = [p.NormalPrior(), p.StudentTPrior(3.0)]
    inner = wide_model(priors)
    x = keras.Input((3,))
    outer = keras.Sequential([keras.Input((3,)), keras.Model(x, inner(x))])
    assert penalties(outer) == pytest.approx(expected_penalty(priors), rel=1e-5)


def _expected_each(priors):
    return [expected_penalty([prior]) for prior in priors]


def _found(model):
    return [float(ops.convert_to_numpy(loss)) for loss in model.losses]


def test_every_prior_of_a_frozen_layer_drops_out():
    priors = every_prior()
    model = wide_model(priors)
    expected = _expected_each(priors)
    np.testing.assert_allclose(_found(model), expected, rtol=1e-5)
    dense = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    for layer in dense[::2]:
        layer.trainable = False
    np.testing.assert_allclose(_found(model), expected[1::2], rtol=1e-5)
    for layer in dense:
        layer.trainable = not layer.trainable
    np.testing.assert_allclose(_found(model), expected[::2], rtol=1e-5)


def test_every_prior_of_shared_and_nested_layers_counts_once():
    priors = every_prior()
    inner = wide_model(priors)
    first, second = keras.Input((3,)), keras.Input((3,))
    # Each layer is called twice, from within a model in a model.
    middle = keras.Model([first, second], keras.layers.Add()([inner(first), inner(second)]))
    outer = keras.Model([first, second], middle([first, second]))
    np.testing.assert_allclose(_found(outer), _expected_each(priors), rtol=1e-5)
    outer([X, X])
    np.testing.assert_allclose(_found(outer), _expected_each(priors), rtol=1e-5)
    found = [prior for prior in kp.get_priors(outer).values() if prior is not None]
    assert {type(prior) for prior in found} == {type(prior) for prior in priors}
    assert len(found) == len(priors)


def test_a_bias_of_zeros_is_fine_under_every_prior_of_the_real_line():
    for prior in every_prior():
        size = 3 if isinstance(prior, p.MultivariateNormalPrior) else 2
        if prior.constraint() is None and not isinstance(prior, p.MatrixNormalPrior):
            assert np.isfinite(float(prior(np.zeros((size,), "float32")))), prior


def test_the_penalty_is_the_log_density_over_num_data():
    w = np.array([0.3, 0.4], "float32")
    prior = p.LogisticPrior(num_data=50)
    assert float(prior(w)) == pytest.approx(-float(prior.log_prob(w)) / 50, rel=1e-6)
    prior.num_data = None
    assert float(prior(w)) == pytest.approx(-float(prior.log_prob(w)), rel=1e-6)


def test_outside_the_support_the_loss_shows_it():
    model = wide_model([p.HalfNormalPrior()], kernel=-0.5)
    model.compile(keras.optimizers.SGD(0.1), loss="mse")
    history = model.fit(X, Y, batch_size=8, epochs=2, verbose=0)
    assert history.history["loss"][0] == np.inf
    assert np.isfinite(history.history["loss"][1])  # the constraint brought it back
