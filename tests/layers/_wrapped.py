"""One table: what people wrap, and inputs for it."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_priors.layers import Variational
from tests.models._written_by_hand import Block, Positions, Subclassed
from tests.posteriors._calculus import as_numpy


def _cells():
    return layers.RNN([layers.GRUCell(3), layers.SimpleRNNCell(2)])


def _time():
    return layers.TimeDistributed(layers.Dense(2))


def _both():
    return layers.Bidirectional(layers.GRU(2, return_sequences=True))


def _stack():
    return keras.Sequential([layers.Dense(3), layers.BatchNormalization()])


def backbone():
    """Named inputs and outputs, as the pretrained models of keras_hub have."""
    tokens = keras.Input((None,), dtype="int32", name="token_ids")
    padding = keras.Input((None,), dtype="int32", name="padding_mask")
    h = layers.Embedding(9, 4, name="tokens")(tokens)
    attention = layers.MultiHeadAttention(2, 2, name="attention")
    h = layers.LayerNormalization()(h + attention(h, h, attention_mask=padding[:, None]))
    inputs = {"token_ids": tokens, "padding_mask": padding}
    return keras.Model(inputs, {"sequence": h, "pooled": h[:, 0]}, name="backbone")


# What makes it, and the shape of a row; an axis of 5 may be of any length.
WRAPPED = {
    "dense": (lambda: layers.Dense(2), (5, 4)),
    "lstm": (lambda: layers.LSTM(3), (5, 4)),
    "lstm of sequences": (lambda: layers.LSTM(3, return_sequences=True), (5, 4)),
    "cells": (_cells, (5, 4)),
    "bidirectional": (_both, (5, 4)),
    "time distributed": (_time, (5, 4)),
    "conv lstm": (lambda: layers.ConvLSTM1D(2, 2), (5, 3, 2)),
    "attention": (lambda: layers.MultiHeadAttention(2, 3), (5, 4)),
    "grouped attention": (lambda: layers.GroupQueryAttention(2, 2, 1), (5, 4)),
    "layer norm": (layers.LayerNormalization, (5, 4)),
    "batch norm": (layers.BatchNormalization, (5, 4)),
    "group norm": (lambda: layers.GroupNormalization(2), (5, 4)),
    "prelu": (lambda: layers.PReLU(shared_axes=[1]), (5, 4)),
    "embedding": (lambda: layers.Embedding(9, 4, mask_zero=True), (5,)),
    "sequential": (_stack, (5, 4)),
    "backbone": (backbone, (5,)),
    "positions": (Positions, (5, 4)),
    "layer by hand": (lambda: Block(4), (5, 4)),
    "model by hand": (lambda: Subclassed(3), (4,)),
}
TWICE = ("attention", "grouped attention")
"""These take the same input as query and as value."""

USES_MASK = ("lstm", "lstm of sequences", "cells", "bidirectional", "attention")
MASKED = (*USES_MASK, "time distributed", "layer norm", "batch norm")

_QUICK = ("dense", "lstm of sequences", "attention", "batch norm", "backbone", "layer by hand")
EACH = [pytest.param(n, marks=() if n in _QUICK else pytest.mark.slow) for n in WRAPPED]


def rows(name, batch=3, length=5):
    """The arguments of a call."""
    rng = np.random.default_rng(1)
    shape = (batch, *(length if n == 5 else n for n in WRAPPED[name][1]))
    tokens = rng.integers(1, 9, shape).astype("int32")
    if name == "backbone":
        padding = np.ones(shape, "int32")
        padding[:, -1] = 0
        return ({"token_ids": tokens, "padding_mask": padding},)
    x = tokens if name == "embedding" else rng.normal(size=shape).astype("float32")
    return (x, x) if name in TWICE else (x,)


def symbolic(arguments, open_axes=True):
    """`keras.Input`s of unknown batch, and unknown lengths where there is an axis of 5."""

    def one(x):
        shape = [None if n == 5 and open_axes else n for n in x.shape[1:]]
        return keras.Input(shape, dtype=x.dtype.name)

    return keras.tree.map_structure(one, arguments)


def plain(name):
    """Built, with arbitrary values in its weights."""
    layer = WRAPPED[name][0]()
    layer(*rows(name))
    rng = np.random.default_rng(2)
    for v in layer.trainable_variables:
        v.assign(v + rng.normal(0.0, 0.1, v.shape).astype("float32"))
    return layer


def wrapped(name, layer=None, **kwargs):
    return Variational(plain(name) if layer is None else layer, num_data=10, seed=0, **kwargs)


def numbers(outputs):
    """The arrays of any structure of outputs, in float32."""
    flat = keras.tree.flatten(outputs)
    return [as_numpy(keras.ops.cast(y, "float32")) for y in flat]


def assert_close(outputs, expected, **tolerance):
    for y, other in zip(numbers(outputs), numbers(expected), strict=True):
        np.testing.assert_allclose(y, other, **tolerance)
