"""Logits, probabilities and rates taken for one another are said on every path."""

import warnings

import keras
import numpy as np
import pytest
from keras import layers

import keras_priors as kp
from keras_priors.likelihoods import Bernoulli, Categorical, NegativeBinomial, Poisson
from keras_priors.likelihoods.output_scale import check_outputs_scale

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 3)).astype("float32")
CLASSES = np.arange(12) % 3
BITS = (CLASSES > 0).astype("float32")[:, None]
COUNTS = CLASSES.astype("float32")[:, None]

# (last activation, loss, width, targets, what must be named)
LOGITS_TAKEN = [
    ("softmax", Categorical(), 3, CLASSES, "from_logits=False"),
    ("sigmoid", Bernoulli(), 1, BITS, "from_logits=False"),
    ("exponential", Poisson(), 1, COUNTS, "from_log_rate=False"),
    ("softplus", NegativeBinomial(2.0), 1, COUNTS, "logarithm of the mean"),
]
PROBABILITIES_TAKEN = [
    (None, "sparse_categorical_crossentropy", 3, CLASSES, "from_logits=True"),
    (None, keras.losses.CategoricalCrossentropy(), 3, np.eye(3)[CLASSES], "from_logits=True"),
    (None, "binary_crossentropy", 1, BITS, "from_logits=True"),
    (None, "poisson", 1, COUNTS, "log rates"),
]
RIGHT = [
    ("softmax", "sparse_categorical_crossentropy", 3, CLASSES, ""),
    ("sigmoid", Bernoulli(from_logits=False), 1, BITS, ""),
    ("softplus", "poisson", 1, COUNTS, ""),
    (None, Categorical(), 3, CLASSES, ""),
    (None, Poisson(), 1, COUNTS, ""),
]
WRONG = [*LOGITS_TAKEN, *PROBABILITIES_TAKEN]


def dense(width, activation=None, cls=layers.Dense):
    prior = kp.NormalPrior(0, 1)
    kind = (
        {"kernel_regularizer": prior, "bias_regularizer": prior}
        if cls is layers.Dense
        else {"kernel_prior": prior}
    )
    return cls(width, activation=activation, name="last", **kind)


def net(activation, loss, width, last=None):
    model = keras.Sequential([keras.Input((3,)), *(last or [dense(width, activation)])])
    kernel = np.random.default_rng(1).normal(size=(3, width))
    model.get_layer("last").kernel.assign(kernel.astype("float32"))
    model.compile(keras.optimizers.SGD(0.0), loss)
    return model


def messages(function):
    """What a call warns of or refuses, about scales of outputs."""
    refused = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            function()
        except ValueError as error:
            refused = [str(error)]
    return [str(w.message) for w in caught if "takes" in str(w.message)] + refused


def paths(model, y):
    """Each way to use a model."""
    return {
        "set_num_data": lambda: kp.set_num_data(model, X),
        "fit": lambda: model.fit(X, y, verbose=0),
        "monitor": lambda: model.fit(
            X, y, verbose=0, callbacks=[kp.callbacks.BayesianMonitor(check_num_data=False)]
        ),
        "predict": lambda: kp.predict(model, X, verbose=0),
        "method": lambda: kp.inference.LogPosterior(model, X, y),
    }


@pytest.mark.parametrize(("activation", "loss", "width", "y", "word"), WRONG)
def test_it_is_said_on_every_path(activation, loss, width, y, word):
    model = net(activation, loss, width)
    ways = paths(model, y)
    del ways["fit"]  # below: it needs `set_num_data` to know the model
    for name, call in ways.items():
        found = messages(call)
        assert any(word in text for text in found), (name, found)


@pytest.mark.parametrize(("activation", "loss", "width", "y", "word"), WRONG)
def test_fit_says_it_where_the_loss_came_later(activation, loss, width, y, word):
    model = net(activation, loss, width)
    model.compiled = False
    assert messages(lambda: kp.set_num_data(model, X)) == []
    model.compile(keras.optimizers.SGD(0.0), loss)
    found = messages(paths(model, y)["fit"])
    assert len(found) == 1
    assert word in found[0]


@pytest.mark.parametrize(("activation", "loss", "width", "y", "word"), RIGHT)
def test_what_is_right_is_let_alone(activation, loss, width, y, word):
    model = net(activation, loss, width)
    for name, call in paths(model, y).items():
        assert messages(call) == [], name


@pytest.mark.parametrize(
    "last",
    [
        lambda: [dense(3), layers.Softmax()],
        lambda: [dense(3), layers.Activation("softmax"), layers.Reshape((3,))],
        lambda: [dense(3, "softmax"), layers.Activation("linear"), layers.Dropout(0.1)],
        lambda: [keras.Sequential([keras.Input((3,)), dense(3, "softmax")], name="last")],
        lambda: [dense(3, "softmax", kp.VariationalDense)],
    ],
)
def test_the_last_activation_is_found(last):
    layers_ = last()
    model = keras.Sequential([keras.Input((3,)), *layers_])
    found = messages(lambda: kp.predict(model, X, 2, Categorical(), verbose=0))
    assert any("softmax" in text for text in found)


def test_of_a_model_that_says_nothing_the_values_tell():
    class Own(keras.Model):
        def __init__(self, activation):
            super().__init__()
            self.dense = layers.Dense(3, activation)

        def call(self, x):
            return self.dense(x)

    for activation, likelihood, word in [
        ("softmax", Categorical(), "from_logits=False"),
        (None, Categorical(from_logits=False), "from_logits=True"),
        ("softmax", Categorical(from_logits=False), None),
        (None, Categorical(), None),
    ]:
        model = Own(activation)
        model(X)
        found = messages(lambda m=model, p=likelihood: kp.predict(m, X, 1, p, verbose=0))
        assert bool(found) == (word is not None)
        assert word is None or word in found[0]


def test_values_that_are_none_are_refused():
    with pytest.raises(ValueError, match=r"outputs from -0\.16 to 0\.5"):
        kp.Predictive([[[-0.16], [0.5]]], Bernoulli(from_logits=False))
    with pytest.raises(ValueError, match="whose sums are not 1"):
        kp.Predictive([[[0.2, 0.2]]], Categorical(from_logits=False))
    with pytest.raises(ValueError, match="outputs down to -2"):
        kp.Predictive([[[-2.0]]], Poisson(from_log_rate=False))


def test_each_of_several_outputs():
    x = keras.Input((3,))
    heads = {"bit": layers.Dense(1, "sigmoid")(x), "kind": layers.Dense(3)(x)}
    model = keras.Model(x, heads)
    model.compile("sgd", {"bit": Bernoulli(), "kind": Categorical()})
    found = messages(lambda: kp.predict(model, X, verbose=0))
    assert len(found) == 1
    assert "sigmoid" in found[0]


def test_two_logits_whose_sum_is_near_one_by_chance_are_no_probabilities():
    """As an untrained net gave for its first row, which alone is looked at before inference."""
    check_outputs_scale(Categorical(), np.array([[0.537, 0.468]], "float32"))
    for dtype, rest in (("float32", 1e-6), ("float64", 0.0), ("float16", 5e-3)):
        rows = np.array([[0.25, 0.75], [0.5, 0.5 + rest]], dtype)
        with pytest.warns(UserWarning, match="takes logits. Received: outputs that are prob"):
            check_outputs_scale(Categorical(), rows)
    # Many rows are no chance: those of half precision that were cast since are seen.
    with pytest.warns(UserWarning, match="takes logits"):
        check_outputs_scale(Categorical(), np.array([[0.25, 0.752]] * 8, "float32"))
