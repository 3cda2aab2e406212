"""What `adapt` has learned goes along into copies of a model."""

import keras
import numpy as np
import pytest

import keras_priors as kp

WORDS = np.array([["a b c"], ["b c d"], ["b"]])

LAYERS = {
    "TextVectorization": lambda: keras.layers.TextVectorization(output_sequence_length=3),
    "StringLookup": keras.layers.StringLookup,
    "IntegerLookup": keras.layers.IntegerLookup,
    "given": lambda: keras.layers.StringLookup(vocabulary=["a", "b c d"]),
}


def adapted(kind):
    layer = LAYERS[kind]()
    if kind != "given":
        layer.adapt(rows(kind))
    return layer


def rows(kind):
    import tensorflow as tf

    return tf.constant(np.array([[3], [5], [5]]) if kind == "IntegerLookup" else WORDS)


def net(layer, kind):
    inputs = keras.Input((1,), dtype="int64" if kind == "IntegerLookup" else "string")
    x = keras.layers.Embedding(10, 4)(layer(inputs))
    return keras.Model(inputs, keras.layers.Dense(1)(keras.layers.GlobalAveragePooling1D()(x)))


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="Keras has these layers on TensorFlow alone"
)
@pytest.mark.parametrize("kind", LAYERS)
def test_vocabularies_are_carried_on(kind):
    layer = adapted(kind)
    model = net(layer, kind)
    bayes = kp.to_variational(model, num_data=10)
    assert bayes.layers[1].get_vocabulary() == layer.get_vocabulary()
    # At the means, which are the weights of the model.
    found, wanted = (m.predict(rows(kind), verbose=0) for m in (bayes, model))
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
    outer = keras.Sequential(
        [keras.Input(model.input_shape[1:], dtype=model.inputs[0].dtype), model]
    )
    inner = kp.to_deterministic(kp.to_variational(outer, num_data=10)).layers[0]
    assert inner.layers[1].get_vocabulary() == layer.get_vocabulary()


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="Keras has these layers on TensorFlow alone"
)
def test_adapted_weights_of_tf_idf_are_refused():
    layer = keras.layers.TextVectorization(
        output_mode="tf_idf", max_tokens=6, pad_to_max_tokens=True
    )
    layer.adapt(rows("TextVectorization"))
    inputs = keras.Input((1,), dtype="string")
    model = keras.Model(inputs, keras.layers.Dense(1)(layer(inputs)))
    with pytest.raises(ValueError, match="weights of TF-IDF"):
        kp.to_variational(model, num_data=10)


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="Keras has these layers on TensorFlow alone"
)
def test_a_subclassed_model_keeps_its_words():
    @keras.saving.register_keras_serializable("keras_priors_tests")
    class OfWords(keras.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.words = keras.layers.StringLookup()
            self.vectors = keras.layers.Embedding(10, 1)

        def call(self, x):
            return self.vectors(self.words(x))[:, 0]

    model = OfWords()
    model.words.adapt(rows("StringLookup"))
    model(rows("StringLookup"))
    bayes = kp.to_variational(model, num_data=10)
    plain = kp.to_deterministic(bayes)
    assert plain.words.get_vocabulary() == model.words.get_vocabulary()
    found, wanted = (m.predict(rows("StringLookup"), verbose=0) for m in (bayes, model))
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
