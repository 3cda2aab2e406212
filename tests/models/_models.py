"""Models of every kind, for the tests of the verbs that look at all weights of a model."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_priors.layers import (
    Variational,
    VariationalConv1D,
    VariationalDense,
    VariationalDepthwiseConv1D,
    VariationalEmbedding,
    VariationalSeparableConv1D,
)
from keras_priors.models.variational_model import VariationalModel
from keras_priors.priors import NormalPrior

NUM_DATA = 50


def normal(scale=0.5):
    return NormalPrior(0.0, scale, num_data=NUM_DATA)


def described(priors):
    return {path: repr(prior) for path, prior in priors.items()}


def saved(model, tmp_path):
    """The model after `model.save` and `load_model`."""
    model.save(tmp_path / "model.keras")
    return keras.saving.load_model(tmp_path / "model.keras")


@keras.saving.register_keras_serializable(package="keras_priors_tests")
class Configured(keras.Model):
    """A subclassed model that keeps its layers in its config, as Keras' guide does."""

    def __init__(self, hidden, out, **kwargs):
        super().__init__(**kwargs)
        self.hidden, self.out = hidden, out

    def call(self, x):
        return self.out(self.hidden(x))

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        parts = {"hidden": serialize(self.hidden), "out": serialize(self.out)}
        return {**super().get_config(), **parts}

    @classmethod
    def from_config(cls, config):
        for name in ("hidden", "out"):
            config[name] = keras.saving.deserialize_keras_object(config[name])
        return cls(**config)


@keras.saving.register_keras_serializable(package="keras_priors_tests")
class Bare(keras.Model):
    """A subclassed model that makes its layers itself: its config says nothing of them."""

    def __init__(self, units=2, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.inner = layers.Dense(units, name="inner")

    def call(self, x):
        return self.inner(x)


@keras.saving.register_keras_serializable(package="keras_priors_tests")
class Gain(keras.layers.Layer):
    """A custom layer with a weight and no regularizer."""

    def build(self, input_shape):
        self.gain = self.add_weight(name="gain", shape=(input_shape[-1],), initializer="ones")
        self.built = True

    def call(self, x):
        return x * self.gain


@keras.saving.register_keras_serializable(package="keras_priors_tests")
class Scale(keras.layers.Layer):
    """A custom layer whose config has a regularizer, under a name of its own."""

    def __init__(self, shrink_regularizer=None, **kwargs):
        super().__init__(**kwargs)
        self._shrink = keras.regularizers.get(shrink_regularizer)

    def build(self, input_shape):
        self.factor = self.add_weight(
            name="factor", shape=(input_shape[-1],), regularizer=self._shrink
        )
        self.built = True

    def call(self, x):
        return x * self.factor

    def get_config(self):
        shrink = keras.regularizers.serialize(self._shrink)
        return {**super().get_config(), "shrink_regularizer": shrink}


def sequential():
    return keras.Sequential(
        [keras.Input((3,)), layers.Dense(4, name="hidden"), layers.Dense(2, name="out")]
    )


def functional():
    """One layer is called twice."""
    x = keras.Input((3,))
    shared = layers.Dense(3, name="hidden")
    return keras.Model(x, layers.Dense(2, name="out")(shared(shared(x))))


def nested():
    """Two nested models whose layers have the same names; one of them is called twice."""
    x = keras.Input((3,))
    left = keras.Sequential([keras.Input((3,)), layers.Dense(3, name="hidden")], name="left")
    inner = keras.Input((3,))
    right = keras.Model(inner, layers.Dense(3, name="hidden")(inner), name="right")
    return keras.Model(x, layers.Dense(2, name="out")(right(left(left(x)))))


def subclassed():
    hidden = keras.Sequential([layers.Dense(4, name="hidden")], name="stack")
    model = Configured(hidden, layers.Dense(2, name="out"))
    model(np.zeros((1, 3), "float32"))
    return model


def bidirectional():
    x = keras.Input((4, 3))
    h = layers.Bidirectional(layers.LSTM(2, return_sequences=True, name="lstm"), name="both")(x)
    return keras.Model(x, layers.TimeDistributed(layers.Dense(2, name="out"), name="time")(h))


def cells():
    x = keras.Input((4, 3))
    return keras.Model(x, layers.RNN([layers.GRUCell(2), layers.SimpleRNNCell(2)])(x))


def attention():
    x = keras.Input((4, 3))
    h = layers.MultiHeadAttention(2, 2, name="heads")(x, x)
    h = layers.GroupQueryAttention(2, 2, 1, name="grouped")(h, h)
    return keras.Model(x, layers.LayerNormalization(name="norm")(h))


def convolutional():
    x = keras.Input((8, 2))
    h = layers.Conv1D(2, 2)(x)
    h = layers.Conv1DTranspose(2, 2)(h)
    h = layers.SeparableConv1D(2, 2, name="separable")(h)
    h = layers.DepthwiseConv1D(2, name="depthwise")(h)
    h = layers.PReLU(name="leak")(layers.BatchNormalization(name="norm")(h))
    h = layers.GroupNormalization(2)(layers.EinsumDense("btc,cd->btd", (None, 2), bias_axes="d")(h))
    return keras.Model(x, h)


def embedding():
    x = keras.Input((4,), dtype="int32")
    return keras.Model(x, Scale(name="scale")(layers.Embedding(5, 3, name="table")(x)))


def variational():
    return keras.Sequential(
        [
            keras.Input((3,)),
            VariationalDense(4, seed=0, name="hidden"),
            VariationalDense(2, kernel_posterior="delta", use_bias=False, seed=1, name="out"),
        ]
    )


def wrapper():
    """A kernel with a posterior and a bias without."""
    x = keras.Input((4, 3))
    inner = layers.LSTM(2, name="lstm")
    h = Variational(inner, weights="*kernel", seed=0, name="wrapped")(x)
    return keras.Model(x, layers.Dense(2, name="out")(h))


def twins():
    x = keras.Input((6,), dtype="int32")
    h = VariationalEmbedding(5, 3, seed=0, name="table")(x)
    h = VariationalConv1D(2, 2, seed=0, name="conv")(h)
    h = VariationalSeparableConv1D(2, 2, seed=0, name="separable")(h)
    return keras.Model(x, VariationalDepthwiseConv1D(2, seed=0, name="depthwise")(h))


def wrapped_model():
    """A posterior over all weights of a subclassed model; its prior is the wrapper's to keep."""
    wrapped = Variational(Bare(name="bare"), seed=0, name="wrapped")
    wrapped(np.zeros((1, 3), "float32"))
    return VariationalModel(wrapped)


MODELS = {
    "sequential": (sequential, 4),
    "functional": (functional, 4),
    "nested": (nested, 6),
    "subclassed": (subclassed, 4),
    "bidirectional": (bidirectional, 8),
    "cells": (cells, 6),
    "attention": (attention, 18),
    "convolutional": (convolutional, 16),
    "embedding": (embedding, 2),
    "variational": (variational, 3),
    "wrapper": (wrapper, 5),
    "twins": (twins, 8),
    "wrapped_model": (wrapped_model, 2),
}
"""Name: what makes it, and the number of its weights that can have a prior."""

# On JAX, whose first call of each operation compiles.
_SLOW = ("cells", "convolutional", "twins")
NAMES = [pytest.param(n, marks=pytest.mark.slow) if n in _SLOW else n for n in MODELS]
"""The names as parameters of a test, the slow ones marked."""

POSTERIORS = {"variational": 3, "wrapper": 2, "twins": 8, "wrapped_model": 2}
"""How many of them have a posterior."""
