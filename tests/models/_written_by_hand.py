"""Models that hold layers and models which people wrote themselves."""

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable("tests")
class Block(layers.Layer):
    """An encoder block with attention, a mask and a nested Sequential."""

    def __init__(self, width=8, heads=2, **kwargs):
        super().__init__(**kwargs)
        self.width, self.heads = width, heads
        self.supports_masking = True
        self.attention = layers.MultiHeadAttention(heads, 4, name="attention")
        self.norms = [layers.LayerNormalization(name=f"norm_{k}") for k in range(2)]
        up, down = layers.Dense(16, activation="gelu", name="up"), layers.Dense(width, name="down")
        self.stack = keras.Sequential([up, down], name="stack")
        self.drop = layers.Dropout(0.1)

    def build(self, input_shape):
        self.attention.build(input_shape, input_shape)
        for part in (*self.norms, self.stack):
            part.build(input_shape)
        self.built = True

    def call(self, x, mask=None, training=None):
        mask = None if mask is None else mask[:, None, :]
        a = self.attention(x, x, attention_mask=mask)
        h = self.norms[0](x + self.drop(a, training=training))
        return self.norms[1](h + self.stack(h))

    def get_config(self):
        return {**super().get_config(), "width": self.width, "heads": self.heads}


@keras.saving.register_keras_serializable("tests")
class Positions(layers.Layer):
    """Says its shape itself: Keras cannot trace the call where lengths are unknown."""

    def build(self, input_shape):
        self.table = self.add_weight(shape=(8, input_shape[-1]), name="table")
        self.built = True

    def call(self, x):
        return ops.broadcast_to(self.table[: ops.shape(x)[1]], ops.shape(x)) + x

    def compute_output_shape(self, input_shape):
        return input_shape


@keras.saving.register_keras_serializable("tests")
class Transformer(keras.Model):
    """Layers in a list, and a mask that is handed on by hand."""

    def __init__(self, width=8, depth=2, **kwargs):
        super().__init__(**kwargs)
        self.width, self.depth = width, depth
        self.embedding = layers.Embedding(20, width, mask_zero=True, name="embedding")
        self.blocks = [Block(width, name=f"block_{k}") for k in range(depth)]
        self.out = layers.Dense(2, name="out")

    def call(self, tokens, training=None):
        mask, h = self.embedding.compute_mask(tokens), self.embedding(tokens)
        for block in self.blocks:
            h = block(h, mask=mask, training=training)
        return self.out(ops.mean(h, axis=1))

    def get_config(self):
        return {**super().get_config(), "width": self.width, "depth": self.depth}


@keras.saving.register_keras_serializable("tests")
class Subclassed(keras.Model):
    """A model whose graph Keras does not know, with state besides weights."""

    def __init__(self, units=5, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.hidden = layers.Dense(units, activation="relu", name="hidden")
        self.norm = layers.BatchNormalization(name="norm")
        self.out = layers.Dense(2, name="out")

    def call(self, x, training=None):
        return self.out(self.norm(self.hidden(x), training=training))

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable("tests")
class Outer(keras.Model):
    """Twice the same subclassed model within another."""

    def __init__(self, units=5, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.left, self.right = (Subclassed(units, name=name) for name in ("left", "right"))
        self.out = layers.Dense(2, name="last")

    def call(self, x, training=None):
        h = self.left(x, training=training) + self.right(x, training=training)
        return self.out(h)

    def get_config(self):
        return {**super().get_config(), "units": self.units}
