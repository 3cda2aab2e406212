"""Configs, clones and files."""

import json
import os
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
from keras import ops

from keras_priors import priors as p
from keras_priors.utils import parameters as _parameters
from tests.priors._models import X, every_prior, penalties, wide_model

W = np.full((3, 2), 0.4, "float32")


@pytest.mark.parametrize("prior", every_prior(), ids=lambda prior: type(prior).__name__)
def test_the_config_gives_the_same_prior_back(prior):
    prior.num_data = 7
    config = prior.get_config()
    through_json = json.loads(json.dumps(config, allow_nan=False))
    assert through_json == config
    again = type(prior).from_config(through_json)
    assert again.get_config() == config
    assert again.num_data == 7
    assert float(again.log_prob(W)) == float(prior.log_prob(W))
    serialized = keras.regularizers.serialize(prior)
    assert float(keras.regularizers.deserialize(serialized)(W)) == float(prior(W))
    assert type(prior).__name__ in repr(prior)


@pytest.mark.parametrize("prior", every_prior(), ids=lambda prior: type(prior).__name__)
def test_long_arrays_are_kept_as_bytes(prior, monkeypatch):
    expected = float(prior.log_prob(W))
    monkeypatch.setattr(_parameters, "_MOST_NUMBERS", 0)
    config = json.loads(json.dumps(prior.get_config(), allow_nan=False))
    again = type(prior).from_config(config)
    assert float(again.log_prob(W)) == expected
    constraint = again.constraint()
    if constraint is not None:
        other = type(constraint).from_config(constraint.get_config())
        assert np.array_equal(ops.convert_to_numpy(other(W)), ops.convert_to_numpy(constraint(W)))


@pytest.mark.parametrize(
    ("loc", "dtype"),
    [
        (0.1, "float64"),
        (np.float32(0.1), "float32"),
        (2.0**-60, "float32"),
        (-1e300, "float64"),
    ],
)
def test_bytes_of_long_arrays_are_exact(loc, dtype):
    prior = p.NormalPrior(np.full((9, 20), loc), np.linspace(1.0, 2.0, 180).reshape(9, 20))
    config = json.loads(json.dumps(prior.get_config()))
    again = p.NormalPrior.from_config(config)
    assert np.array_equal(again.loc, prior.loc)
    assert np.array_equal(again.scale, prior.scale)
    assert config["loc"]["dtype"] == dtype
    with pytest.raises(ValueError, match=r"float32 or float64\. Received: 'object'"):
        p.NormalPrior.from_config({**config, "loc": {**config["loc"], "dtype": "object"}})


def test_clone_model_keeps_every_prior():
    model = wide_model(every_prior())
    clone = keras.models.clone_model(model)
    assert penalties(clone) == pytest.approx(penalties(model), rel=1e-6)
    for layer, copy in zip(model.layers, clone.layers, strict=True):
        if isinstance(layer, keras.layers.Dense):
            assert copy.kernel_regularizer.get_config() == layer.kernel_regularizer.get_config()
            assert (copy.kernel_constraint is None) == (layer.kernel_constraint is None)


def test_a_file_loads_in_safe_mode_in_a_fresh_process(tmp_path, project_root):
    model = wide_model(every_prior(), kernel=0.37)
    path = tmp_path / "model.keras"
    model.save(path)
    np.save(tmp_path / "x.npy", X)
    script = """
        import sys

        import keras
        import numpy as np
        import keras_priors

        folder = sys.argv[1]
        model = keras.models.load_model(folder + "/model.keras", safe_mode=True)
        np.save(folder + "/y.npy", model.predict(np.load(folder + "/x.npy"), verbose=0))
        losses = [keras.ops.convert_to_numpy(loss) for loss in model.losses]
        np.save(folder + "/losses.npy", losses)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)],
        cwd=project_root,
        env={**os.environ, "KERAS_BACKEND": keras.backend.backend()},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), model.predict(X, verbose=0), rtol=1e-6)
    losses = [ops.convert_to_numpy(loss) for loss in model.losses]
    np.testing.assert_allclose(np.load(tmp_path / "losses.npy"), losses, rtol=1e-6)


def test_two_layers_after_load_have_two_priors(tmp_path):
    shared = p.NormalPrior()
    model = wide_model([shared, shared])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    first, second = (layer.kernel_regularizer for layer in loaded.layers[1:3])
    assert first is not second
