"""Nothing is lost at save: configs, clones, files, in a fresh process, on another backend."""

import importlib.util
import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_priors import posteriors, priors
from keras_priors.layers import VariationalDense
from keras_priors.priors import NormalPrior
from tests.posteriors._calculus import as_numpy

X = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")

LAYERS = {
    "default": {"units": 2},
    "all arguments": {
        "units": 2,
        "activation": "tanh",
        "kernel_initializer": "he_normal",
        "bias_initializer": "ones",
        "kernel_regularizer": NormalPrior(0.1, 2.0, num_data=5),
        "bias_regularizer": NormalPrior(0.0, np.array([1.0, 2.0])),
        "activity_regularizer": keras.regularizers.L2(0.01),
        "kernel_posterior": posteriors.LowRankNormal(rank=2, initial_scale=0.3),
        "bias_posterior": "delta",
        "bias_constraint": "non_neg",
        "estimator": "local_reparameterization",
        "num_data": 17,
        "kl_samples": 3,
        "seed": 11,
        "name": "all",
    },
    "no bias": {"units": 2, "use_bias": False, "kernel_posterior": "full", "num_data": 3},
    "matrix": {"units": 2, "kernel_posterior": "matrix_normal", "bias_posterior": "full"},
    "positive": {
        "units": 2,
        "kernel_posterior": "log_normal",
        "kernel_prior": priors.LogNormalPrior(0.1, 0.5),
    },
    "by draws": {
        "units": 2,
        "kernel_posterior": "log_normal",
        "kernel_prior": priors.HalfCauchyPrior(0.5),
    },
    "flipout": {
        "units": 2,
        "estimator": "flipout",
        "kernel_posterior": posteriors.MeanFieldNormal(0.5),
    },
    "point": {
        "units": 2,
        "kernel_posterior": "delta",
        "kernel_constraint": keras.constraints.MaxNorm(2),
    },
    "mixed": {"units": 2, "dtype": "mixed_bfloat16"},
}


def model_of(arguments):
    model = keras.Sequential([keras.Input((3,)), VariationalDense(**arguments)])
    rng = np.random.default_rng(0)
    for variable in model.weights:
        if variable.dtype.startswith("float"):
            value = as_numpy(variable) + rng.uniform(0.1, 0.3, tuple(variable.shape))
            variable.assign(value.astype("float32"))
    return model


def test_some_divergences_are_by_draws():
    exact = {}
    for name in ("positive", "by draws"):
        layer = model_of(LAYERS[name]).layers[-1]
        exact[name] = all(penalty.is_exact for penalty in layer._kl_penalties)
    assert exact == {"positive": True, "by draws": False}


def assert_same(one, other):
    first, second = one.layers[-1], other.layers[-1]
    assert first.get_config() == second.get_config()
    for a, b in zip(one.weights, other.weights, strict=True):
        assert a.path.split("/")[-1] == b.path.split("/")[-1]
        assert np.array_equal(as_numpy(a), as_numpy(b)), a.path
    assert np.array_equal(as_numpy(one(X)), as_numpy(other(X)))
    # Where the KL has no closed form it is an average over draws, from seeds that are not saved.
    exact = [penalty.is_exact for penalty in first._kl_penalties]
    assert exact == [penalty.is_exact for penalty in second._kl_penalties]
    if all(exact):
        assert float(as_numpy(first.kl())) == float(as_numpy(second.kl()))
    for a, b in zip(first._kl_penalties, second._kl_penalties, strict=True):
        assert float(as_numpy(a.kl(seed=1))) == float(as_numpy(b.kl(seed=1)))


@pytest.mark.parametrize("built", [False, True])
@pytest.mark.parametrize("arguments", LAYERS.values(), ids=LAYERS)
def test_config_survives_json(arguments, built):
    layer = VariationalDense(**arguments)
    if built:
        layer.build((None, 3))
    config = layer.get_config()
    twin = VariationalDense.from_config(json.loads(json.dumps(config)))
    assert json.dumps(twin.get_config(), sort_keys=True) == json.dumps(config, sort_keys=True)
    assert not twin.built
    twin.build((None, 3))
    assert type(twin.kernel_posterior) is type(posteriors.get(layer.kernel_posterior))


@pytest.mark.parametrize("arguments", LAYERS.values(), ids=LAYERS)
def test_file(arguments, tmp_path):
    model = model_of(arguments)
    model.save(tmp_path / "model.keras")
    assert_same(model, keras.saving.load_model(tmp_path / "model.keras", safe_mode=True))


@pytest.mark.parametrize("arguments", LAYERS.values(), ids=LAYERS)
def test_weights_file(arguments, tmp_path):
    model, other = model_of(arguments), model_of(arguments)
    for variable in other.trainable_variables:
        variable.assign(as_numpy(variable) * 0.5)
    model.save_weights(tmp_path / "w.weights.h5")
    other.load_weights(tmp_path / "w.weights.h5")
    for a, b in zip(model.weights, other.weights, strict=True):
        assert np.array_equal(as_numpy(a), as_numpy(b)), a.path


@pytest.mark.parametrize("arguments", LAYERS.values(), ids=LAYERS)
def test_clone(arguments):
    model = model_of(arguments)
    clone = keras.models.clone_model(model)
    assert clone.layers[-1] is not model.layers[-1]
    clone.set_weights([as_numpy(v) for v in model.weights])
    assert_same(model, clone)
    # The twin has a KL of its own.
    clone.layers[-1].kernel_posterior.loc.assign(np.ones((3, 2), "float32"))
    assert not np.array_equal(as_numpy(model(X)), as_numpy(clone(X)))


def test_training_goes_on_where_it_stopped(tmp_path):
    model = model_of(LAYERS["flipout"] | {"num_data": 4, "seed": 0})
    model.compile(keras.optimizers.Adam(0.01), "mse")
    model.fit(X, X[:, :2], epochs=2, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        loaded.evaluate(X, X[:, :2], verbose=0), model.evaluate(X, X[:, :2], verbose=0), rtol=1e-6
    )
    loaded.fit(X, X[:, :2], epochs=1, verbose=0)


READ = """
import json, os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras, numpy as np
import keras_priors
model = keras.saving.load_model(sys.argv[1], safe_mode=True)
x = np.load(sys.argv[2])
layers = model.layers[1:]
print("RESULT" + json.dumps({
    "backend": keras.backend.backend(),
    "output": np.asarray(keras.ops.convert_to_numpy(model(x))).tolist(),
    "configs": [layer.get_config() for layer in layers],
    "stddev": float(keras.ops.sum(layers[0].kernel_posterior.stddev())),
}))
"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """One model with every family, its input on disk and what it says of it."""
    folder = tmp_path_factory.mktemp("saved")
    inputs = keras.Input((3,))
    x = inputs
    for name, arguments in LAYERS.items():
        if name != "mixed":
            x = VariationalDense(**(arguments | {"units": 2, "name": name.replace(" ", "_")}))(x)
    model = keras.Model(inputs, x)
    model.save(folder / "model.keras")
    np.save(folder / "x.npy", X)
    return folder, model


@pytest.mark.slow
@pytest.mark.parametrize("reader", ["tensorflow", "jax", "torch"])
def test_a_fresh_process_reads_it_on_every_backend(saved, reader, project_root):
    if importlib.util.find_spec(reader) is None:
        pytest.skip(f"{reader} is not installed")
    folder, model = saved
    environment = {**os.environ, "KERAS_BACKEND": reader, "PYTHONPATH": str(project_root)}
    command = [sys.executable, "-c", READ, str(folder / "model.keras"), str(folder / "x.npy")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("RESULT")]
    found = json.loads(line.removeprefix("RESULT"))
    assert found["backend"] == reader
    np.testing.assert_allclose(found["output"], as_numpy(model(X)), rtol=1e-4, atol=1e-5)
    here = json.loads(json.dumps([layer.get_config() for layer in model.layers[1:]]))
    assert found["configs"] == here
    stddev = as_numpy(model.layers[1].kernel_posterior.stddev()).sum()
    np.testing.assert_allclose(found["stddev"], stddev, rtol=1e-5)
