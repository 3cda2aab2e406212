"""Weights within a wrapper have the paths of the plain model, in files of before too."""

import json
import zipfile

import keras
import numpy as np
import pytest

import keras_priors as kp


def test_paths_are_those_of_the_plain_model():
    memory = keras.layers.LSTM(2, name="memory")
    inside = keras.Sequential([keras.Input((4, 3)), memory], name="inside")
    layers = [keras.layers.Dense(1, name="line"), kp.layers.NoiseScale(name="noise")]
    model = keras.Sequential([keras.Input((4, 3)), inside, *layers])
    kp.set_priors(model, {"memory/*": kp.NormalPrior(0, 1), "line/*": kp.NormalPrior(0, 1)})
    new = kp.to_variational(model, num_data=10)
    assert list(kp.get_priors(new)) == list(kp.get_priors(model))
    assert "noise/scale" in kp.get_priors(new)
    # By the name of the wrapper and that of the layer within it, as it was once, and by its end.
    for pattern in ("noise/noise/scale", "noise/scale", "scale"):
        assert list(kp.set_priors(new, {pattern: kp.HalfCauchyPrior(1.0)})) == ["noise/scale"]
    # One of another name in the place of the wrapper's keeps both.
    dense = keras.layers.Dense(1, name="dense")
    other = keras.Sequential([keras.Input((3,)), kp.layers.Variational(dense, name="around")])
    assert list(kp.get_priors(other)) == ["around/dense/kernel", "around/dense/bias"]


@pytest.mark.parametrize("twice", ["", "dense/"])
def test_files_with_the_name_of_a_wrapper_twice_are_read(twice, tmp_path):
    dense = keras.layers.Dense(2, name="dense")
    wrapper = kp.layers.Variational(dense, weights="kernel", name="dense", num_data=8)
    model = keras.Sequential([keras.Input((3,)), wrapper])
    dense.bias.trainable = False
    model.compile("sgd", kp.likelihoods.Normal(1.0))
    path = tmp_path / "a.posterior"
    x = np.ones((8, 3), "float32")
    kp.inference.VariationalLayers().fit(model, x, x[:, :2], verbose=0).save(path)
    with zipfile.ZipFile(path) as file:
        entries = {name: file.read(name) for name in file.namelist()}
    description = json.loads(entries["posterior.json"])
    assert description["trained"] == ["dense/kernel"]
    prior = keras.saving.serialize_keras_object(kp.NormalPrior(0, 3))
    description |= {"trained": [f"{twice}dense/kernel"]}
    description |= {"unsaved_priors": {f"{twice}dense/bias": prior}}
    entries["posterior.json"] = json.dumps(description).encode()
    with zipfile.ZipFile(path, "w") as file:
        for name, content in entries.items():
            file.writestr(name, content)
    loaded = kp.inference.Posterior.load(path)
    assert list(loaded.mean()) == ["dense/kernel"]
    kernel, bias = loaded.model.layers[0].layer.variables
    assert kernel.trainable and not bias.trainable
    assert bias.regularizer.scale == 3.0
