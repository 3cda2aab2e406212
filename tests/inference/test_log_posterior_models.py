"""The log posterior of models of every kind.

The value against the model's own output in plain Python, in blocks of rows, for three chains at
once, and the gradient against the difference between two of them.
"""

import keras
import numpy as np
import pytest
from keras import layers
from scipy import stats

import keras_priors as kp
from keras_priors import backend as kp_backend

NOISE = 0.7
LIKELIHOOD = kp.likelihoods.Normal(NOISE)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        prior = kp.NormalPrior(0.1, 0.9)
        priors = {"kernel_regularizer": prior, "bias_regularizer": prior}
        self.hidden, self.out = layers.Dense(3, "tanh", **priors), layers.Dense(1, **priors)

    def call(self, x):
        return self.out(self.hidden(x))


def _rows(*shape):
    return np.random.default_rng(3).standard_normal((7, *shape)).astype("float32")


def _classes(count, *shape):
    return np.random.default_rng(4).integers(0, count, (7, *shape))


def _normal(y, f):
    return stats.norm(f, NOISE).logpdf(y).sum()


def _categorical(y, f):
    f = f.astype("float64")
    log_p = f - np.log(np.exp(f).sum(-1, keepdims=True))
    return np.take_along_axis(log_p, y[..., None], -1).sum()


def nested():
    inner = keras.Sequential([keras.Input((2,)), layers.Dense(3, "tanh")])
    model = keras.Sequential([keras.Input((2,)), inner, layers.Dense(1)])
    return model, _rows(2), _rows(1), LIKELIHOOD, _normal


def subclassed():
    model = Subclassed()
    model(_rows(2))
    return model, _rows(2), _rows(1), LIKELIHOOD, _normal


def convolution():
    inputs = keras.Input((4, 4, 1))
    h = layers.Dropout(0.5)(layers.BatchNormalization()(layers.Conv2D(2, 3)(inputs)))
    model = keras.Model(inputs, layers.Dense(3)(layers.Flatten()(h)))
    model.layers[2].moving_mean.assign([0.3, -0.2])
    categorical = kp.likelihoods.Categorical()
    return model, _rows(4, 4, 1), _classes(3), categorical, _categorical


def masked_lstm():
    x = _classes(5, 4)
    x[:, 0], x[3:, 2:] = 1, 0
    counted = x != 0
    inputs = keras.Input((4,), dtype="int32")
    h = layers.Embedding(5, 2, mask_zero=True)(inputs)
    model = keras.Model(inputs, layers.Dense(3)(layers.LSTM(2, return_sequences=True)(h)))

    def by_hand(y, f):
        return _categorical(y[counted], f[counted])

    return model, x, _classes(3, 4), kp.likelihoods.Categorical(), by_hand


def outputs_in_a_list():
    inputs, shared = keras.Input((2,)), layers.Dense(2, "tanh")
    h = shared(shared(inputs))
    outputs = [layers.Dense(1)(h), layers.Dense(3)(h)]

    def by_hand(y, f):
        return _normal(y[0], f[0]) + _categorical(y[1], f[1])

    y = [_rows(1), _classes(3)]
    likelihoods = [LIKELIHOOD, kp.likelihoods.Categorical()]
    return keras.Model(inputs, outputs), _rows(2), y, likelihoods, by_hand


def dicts_in_and_out():
    inputs = {"p": keras.Input((2,), name="p"), "q": keras.Input((3,), name="q")}
    h = layers.Concatenate()([inputs["p"], inputs["q"]])
    outputs = {"a": layers.Dense(1, name="a")(h), "b": layers.Dense(3, name="b")(h)}

    def by_hand(y, f):
        return _normal(y["a"], f["a"]) + _categorical(y["b"], f["b"])

    x, y = {"p": _rows(2), "q": _rows(3)}, {"a": _rows(1), "b": _classes(3)}
    likelihoods = {"a": LIKELIHOOD, "b": kp.likelihoods.Categorical()}
    return keras.Model(inputs, outputs), x, y, likelihoods, by_hand


def attention():
    inputs = keras.Input((3, 4))
    h = layers.LayerNormalization()(inputs + layers.MultiHeadAttention(2, 2)(inputs, inputs))
    model = keras.Model(inputs, layers.Dense(1)(layers.GlobalAveragePooling1D()(h)))
    return model, _rows(3, 4), _rows(1), LIKELIHOOD, _normal


MODELS = (
    nested,
    subclassed,
    convolution,
    pytest.param(masked_lstm, marks=pytest.mark.slow),
    outputs_in_a_list,
    dicts_in_and_out,
    attention,
)


# PyTorch has no rule yet for its fused attention over chains, loops over them, and says so.
@pytest.mark.filterwarnings("ignore:(?s).*There is a performance drop:UserWarning")
@pytest.mark.parametrize("make", MODELS, ids=lambda make: make.__name__)
def test_it_is_that_of_any_model(make):
    keras.utils.set_random_seed(2)
    model, x, y, likelihood, by_hand = make()
    if make is not subclassed:  # which has them, and no config to set them in
        kp.set_priors(model, kp.NormalPrior(0.1, 0.9))
    found = kp.inference.LogPosterior(model, x, y, likelihood, batch_size=3)
    z = found.flatten()
    way = np.random.default_rng(5).standard_normal(z.shape)
    way *= 0.02 / np.linalg.norm(way)
    run = kp_backend.compile_function(
        lambda z, data: kp_backend.vectorize(lambda each: found.log_prob_and_gradient(each, data))(
            z
        )
    )
    chains = keras.ops.convert_to_tensor(np.stack([z, z + way, z - way]), dtype="float32")
    values, slopes = (keras.ops.convert_to_numpy(v) for v in run(chains, found.data))
    outputs = keras.tree.map_structure(
        keras.ops.convert_to_numpy, model(keras.tree.map_structure(keras.ops.array, x))
    )
    prior = stats.norm(0.1, 0.9).logpdf(z.astype("float64")).sum()
    expected = by_hand(y, outputs) + prior
    np.testing.assert_allclose(values[0], expected, rtol=1e-5)
    slope = slopes[0].astype("float64") @ way
    # In float32, of values of some ten nats.
    np.testing.assert_allclose((values[1] - values[2]) / 2, slope, rtol=0.02, atol=2e-5 * 10)
