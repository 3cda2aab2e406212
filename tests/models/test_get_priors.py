import keras
import numpy as np
import pytest
from keras import layers

import keras_priors as kp
from tests.models._models import MODELS, NAMES, POSTERIORS, sequential


@pytest.mark.parametrize("name", NAMES)
def test_every_trainable_weight_is_there_once(name):
    make, count = MODELS[name]
    model = make()
    priors = kp.get_priors(model)
    assert len(priors) == count
    if name in POSTERIORS:
        assert sum(prior is not None for prior in priors.values()) == POSTERIORS[name]
        assert not any(path.endswith(("_loc", "_rho")) for path in priors)
    else:
        assert len(model.trainable_weights) == count
        assert set(priors.values()) == {None}


PATHS = {
    "sequential": ["hidden/kernel", "hidden/bias", "out/kernel", "out/bias"],
    "nested": [
        "left/hidden/kernel",
        "left/hidden/bias",
        "right/hidden/kernel",
        "right/hidden/bias",
        "out/kernel",
        "out/bias",
    ],
    "subclassed": ["stack/hidden/kernel", "stack/hidden/bias", "out/kernel", "out/bias"],
    "bidirectional": [
        *(
            f"both/{way}_lstm/lstm_cell/{weight}"
            for way in ("forward", "backward")
            for weight in ("kernel", "recurrent_kernel", "bias")
        ),
        "time/out/kernel",
        "time/out/bias",
    ],
    "wrapped_model": ["wrapped/bare/inner/kernel", "wrapped/bare/inner/bias"],
    "embedding": ["table/embeddings", "scale/factor"],
    "variational": ["hidden/kernel", "hidden/bias", "out/kernel"],
    "wrapper": [
        "wrapped/lstm/lstm_cell/kernel",
        "wrapped/lstm/lstm_cell/recurrent_kernel",
        "wrapped/lstm/lstm_cell/bias",
        "out/kernel",
        "out/bias",
    ],
}


def without_counts(path):
    # Keras counts layers that it names: "lstm_cell_3".
    return "/".join(part.rstrip("0123456789").rstrip("_") for part in path.split("/"))


@pytest.mark.parametrize("name", PATHS)
def test_paths_are_the_names_on_the_way(name):
    paths = [without_counts(path) for path in kp.get_priors(MODELS[name][0]())]
    assert sorted(paths) == sorted(PATHS[name])


@pytest.mark.parametrize("name", NAMES)
def test_paths_are_the_same_after_loading(name, tmp_path):
    model = MODELS[name][0]()
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert list(kp.get_priors(loaded)) == list(kp.get_priors(model))


def test_two_layers_of_one_name_are_two():
    class Twice(keras.Model):
        def __init__(self):
            super().__init__()
            self.parts = [layers.Dense(2, use_bias=False, name="same") for _ in range(2)]

        def call(self, x):
            return self.parts[1](self.parts[0](x))

    model = Twice()
    model(np.zeros((1, 3), "float32"))
    assert list(kp.get_priors(model)) == ["same/kernel", "same/kernel#2"]


def test_what_layers_were_given():
    prior = kp.NormalPrior(0, 1)
    model = keras.Sequential(
        [
            keras.Input((3,)),
            layers.Dense(2, kernel_regularizer=prior, bias_regularizer="l2", name="plain"),
            kp.VariationalDense(2, bias_prior=kp.LaplacePrior(0, 2), name="bayes"),
        ]
    )
    priors = kp.get_priors(model)
    assert priors["plain/kernel"] is prior
    assert priors["plain/bias"] is None
    assert priors["bayes/kernel"] is model.get_layer("bayes").kernel_prior
    assert repr(priors["bayes/bias"]) == repr(kp.LaplacePrior(0, 2))


def test_frozen_weights_are_not_listed():
    model = sequential()
    model.get_layer("hidden").trainable = False
    assert list(kp.get_priors(model)) == ["out/kernel", "out/bias"]
    with pytest.raises(TypeError, match=r"`model` of `get_priors` must be a keras\.Model"):
        kp.get_priors(layers.Dense(2))
