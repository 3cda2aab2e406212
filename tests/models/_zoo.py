"""One small model of every kind that people bring, with inputs for it."""

import keras
import numpy as np
from keras import layers

from tests.models._written_by_hand import Block, Outer, Subclassed, Transformer

RNG = np.random.default_rng(0)


def _floats(*shape):
    return RNG.normal(size=shape).astype("float32")


def _tokens(rows=6, length=7):
    tokens = RNG.integers(1, 20, (rows, length)).astype("int32")
    tokens[:, -2:] = 0  # masked
    return tokens


def mlp():
    stack = [layers.Dense(8, activation="relu", name="first"), layers.Dense(2, name="second")]
    return keras.Sequential([keras.Input((4,)), *stack]), _floats(6, 4)


def conv_net():
    x = keras.Input((8, 8, 3))
    h = layers.Conv2D(4, 3, padding="same", name="conv")(x)
    h = layers.ReLU()(layers.BatchNormalization(name="norm")(h))
    h = layers.DepthwiseConv2D(3, name="depthwise")(h)
    h = layers.SeparableConv2D(3, 3, name="separable")(h)
    h = layers.Conv2DTranspose(3, 2, name="transpose")(h)
    h = layers.Dropout(0.5)(layers.GlobalAveragePooling2D()(h))
    return keras.Model(x, layers.Dense(2, name="out")(h)), _floats(6, 8, 8, 3)


def text_classifier():
    x = keras.Input((None,), dtype="int32")
    h = layers.Embedding(20, 6, mask_zero=True, name="embedding")(x)
    h = layers.LSTM(5, return_sequences=True, name="lstm")(h)
    h = layers.Bidirectional(layers.GRU(4), name="both")(h)
    return keras.Model(x, layers.Dense(2, name="out")(h)), _tokens()


def transformer():
    x = keras.Input((None,), dtype="int32")
    e = layers.Embedding(20, 8, mask_zero=True, name="embedding")(x)
    a = layers.MultiHeadAttention(2, 4, name="attention")(e, e)
    h = layers.LayerNormalization(name="norm_1")(e + a)
    f = layers.Dense(8, name="down")(layers.Dense(16, activation="gelu", name="up")(h))
    h = layers.LayerNormalization(name="norm_2")(h + f)
    h = layers.GlobalAveragePooling1D()(h)
    return keras.Model(x, layers.Dense(2, name="out")(h)), _tokens()


def siamese():
    a, b = keras.Input((4,)), keras.Input((4,))
    shared = layers.Dense(5, activation="tanh", name="shared")
    h = layers.Subtract()([shared(a), shared(b)])
    return keras.Model([a, b], layers.Dense(2, name="out")(h)), [_floats(6, 4), _floats(6, 4)]


def multi_io():
    a, b = keras.Input((4,), name="a"), keras.Input((3,), name="b")
    h = layers.Concatenate()([layers.Dense(3, name="left")(a), layers.Dense(3, name="right")(b)])
    outputs = {"p": layers.Dense(2, name="p")(h), "q": layers.Dense(1, name="q")(h)}
    return keras.Model({"a": a, "b": b}, outputs), {"a": _floats(6, 4), "b": _floats(6, 3)}


def nested():
    stack = [layers.Dense(5, name="in"), layers.BatchNormalization(name="norm")]
    inner = keras.Sequential([keras.Input((4,)), *stack], name="inner")
    x = keras.Input((4,))
    h = inner(inner(x)[:, :4])
    return keras.Model(x, layers.Dense(2, name="out")(h)), _floats(6, 4)


def subclassed():
    model = Subclassed(name="subclassed")
    x = _floats(6, 4)
    model(x)
    return model, x


def subclassed_transformer():
    model, x = Transformer(name="encoder"), _tokens()
    model(x)
    return model, x


def subclassed_in_subclassed():
    model, x = Outer(name="outer"), _floats(6, 4)
    model(x)
    return model, x


def subclassed_in_functional():
    x = keras.Input((5, 8))
    h = layers.GlobalAveragePooling1D()(Block(name="block")(x))
    return keras.Model(x, Subclassed(name="inner")(h)), _floats(6, 5, 8)


def wrappers():
    x = keras.Input((5, 4))
    stack = [layers.Dense(3, name="in"), layers.BatchNormalization(name="norm")]
    h = layers.TimeDistributed(keras.Sequential(stack), name="time")(x)
    lstm = layers.LSTM(3, return_sequences=True, name="lstm")
    h = layers.Bidirectional(lstm, merge_mode="sum", name="both")(h)
    h = layers.RNN([layers.GRUCell(3), layers.SimpleRNNCell(2)], name="cells")(h)
    return keras.Model(x, layers.Dense(2, name="out")(h)), _floats(6, 5, 4)


SUBCLASSED = ("subclassed", "subclassed_transformer", "subclassed_in_subclassed")
"""Those whose graph Keras does not know, so that they are wrapped as a whole."""

ZOO = {
    function.__name__: function
    for function in (
        mlp,
        conv_net,
        text_classifier,
        transformer,
        siamese,
        multi_io,
        nested,
        subclassed,
        subclassed_transformer,
        subclassed_in_subclassed,
        subclassed_in_functional,
        wrappers,
    )
}


def scatter(model):
    """Give every weight a value off its start, so that none is equal by chance."""
    rng = np.random.default_rng(1)
    for v in model.variables:
        if "float" in str(v.dtype):
            value = keras.ops.convert_to_numpy(keras.ops.convert_to_tensor(v))
            v.assign(value + 0.1 * rng.uniform(0.1, 1.0, value.shape))
    return model


def outputs(model, x):
    """All outputs as one list of arrays."""
    tensors = keras.tree.map_structure(keras.ops.convert_to_tensor, x)
    found = keras.tree.flatten(model(tensors, training=False))
    return [keras.ops.convert_to_numpy(keras.ops.stop_gradient(y)) for y in found]


def difference(a, b, x):
    """The largest difference between the outputs of two models."""
    pairs = zip(outputs(a, x), outputs(b, x), strict=True)
    return max(float(np.abs(p - q).max()) for p, q in pairs)
