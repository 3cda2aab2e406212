"""Models with several outputs: which methods take them, and what the others say."""

import warnings

import keras
import numpy as np
import pytest

import keras_priors as kp

NORMAL = kp.likelihoods.Normal(1.0)
X = np.random.default_rng(0).standard_normal((16, 2)).astype("float32")
Y = {"a": X[:, :1], "b": X[:, 1:]}
TAKEN = {
    "MAP": {},
    "Laplace": {},
    "RandomizedMAP": {"num_members": 2},
    "DeepEnsemble": {"num_members": 2, "epochs": 1},
    "MeanField": {"num_steps": 5},
    "FullRank": {"num_steps": 5},
    "SWAG": {"num_snapshots": 3},
    "SGLD": {"num_burnin": 2, "num_samples": 2},
    "SGHMC": {"num_burnin": 2, "num_samples": 2},
    "NUTS": {"num_chains": 1, "num_warmup": 5, "num_samples": 2},
    "HMC": {"num_chains": 1, "num_warmup": 5, "num_samples": 2},
}


def net():
    inputs = keras.Input((2,))
    priors = {f"{name}_regularizer": kp.NormalPrior(0, 1) for name in ("kernel", "bias")}
    outputs = {name: keras.layers.Dense(1, name=name, **priors)(inputs) for name in Y}
    return keras.Model(inputs, outputs, name="net")


def test_a_last_layer_is_that_of_one_output():
    with pytest.raises(ValueError, match=r"with one output.*Received: net of type"):
        kp.inference.Laplace(layers="last").fit(net(), X, Y, {"a": NORMAL, "b": NORMAL}, verbose=0)


def test_one_output_takes_one_likelihood():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    with pytest.raises(ValueError, match="has one output, so it takes one likelihood"):
        kp.inference.LogPosterior(model, X, Y["a"], {"a": NORMAL})


@pytest.mark.slow
@pytest.mark.parametrize("name", TAKEN)
def test_the_methods_take_them(name):
    if name in ("NUTS", "HMC") and keras.config.backend() == "torch":
        pytest.skip("its kernels are not on PyTorch")
    method = getattr(kp.inference, name)(**TAKEN[name])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # so few steps are not enough
        posterior = method.fit(net(), X, Y, {"a": NORMAL, "b": NORMAL}, seed=0, verbose=0)
    predictive = posterior.predict(X[:3], verbose=0)
    assert {key: one.mean.shape for key, one in predictive.items()} == dict.fromkeys(Y, (3, 1))
