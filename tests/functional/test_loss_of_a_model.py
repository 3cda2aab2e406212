"""What a compiled loss says that a log posterior cannot take, or that is no likelihood."""

import warnings

import keras
import numpy as np
import pytest
from keras import layers

import keras_priors as kp

X = np.random.default_rng(0).normal(size=(8, 2)).astype("float32")
Y = X[:, :1]


def line(*more, **compiled):
    dense = layers.Dense(1, kernel_regularizer=kp.NormalPrior(0, 1), use_bias=False)
    model = keras.Sequential([keras.Input((2,)), dense, *more])
    model.compile(**{"optimizer": "sgd", "loss": kp.likelihoods.Normal(1.0), **compiled})
    return model


def test_loss_weights_are_refused_where_they_would_be_ignored():
    model = line(loss_weights=[0.2])
    with pytest.raises(ValueError, match=r"loss_weights=\[0.2\], which `fit` would obey"):
        kp.inference.MAP().fit(model, X, Y)
    kp.inference.LogPosterior(model, X, Y, kp.likelihoods.Normal(1.0))
    kp.inference.LogPosterior(line(loss_weights=[1.0]), X, Y)


@pytest.mark.parametrize("loss", ["mse", keras.losses.MeanAbsoluteError()])
def test_a_stock_loss_behind_noise_scale_is_refused(loss):
    model = line(kp.layers.NoiseScale(), loss=loss)
    with pytest.raises(ValueError, match="NoiseScale gives means and scales"):
        kp.set_num_data(model, X)
    later = line(kp.layers.NoiseScale())
    later.compiled = False
    kp.set_num_data(later, X)
    later.compile("sgd", loss)
    with pytest.raises(ValueError, match="NoiseScale gives means and scales"):
        later.fit(X, Y, verbose=0)
    kp.set_num_data(line(kp.layers.NoiseScale(), loss=kp.likelihoods.HeteroscedasticNormal()), X)


@pytest.mark.parametrize(("weight", "said"), [({0: 1.0, 1: 4.0}, True), (None, False)])
def test_class_weight_is_no_likelihood(weight, said):
    model = line(loss=kp.likelihoods.Bernoulli())
    kp.set_num_data(model, X)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        monitor = kp.callbacks.BayesianMonitor()
        bits = (Y > 0).astype("float32")
        model.fit(X, bits, class_weight=weight, callbacks=[monitor], verbose=0)
    assert any("class_weight" in str(w.message) for w in caught) == said
