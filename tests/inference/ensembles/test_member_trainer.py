"""One model that becomes each member in turn: nothing of the last one is left in the next."""

import keras
import numpy as np
import pytest

import keras_priors as kp

pytestmark = pytest.mark.filterwarnings("ignore:A weight without a prior")
X = np.random.default_rng(0).standard_normal((20, 3)).astype("float32")
Y = X[:, :1]
UNIT = kp.likelihoods.Normal(1.0)


@keras.saving.register_keras_serializable("tests.member_trainer")
class Counting(keras.layers.Dense):
    """How often it was called: once a step, or once a compilation."""

    calls = 0

    def call(self, inputs, training=None):
        type(self).calls += 1
        return super().call(inputs, training)


class Seen(keras.callbacks.Callback):
    """From elsewhere, but it changes nothing."""


class Leave(keras.callbacks.Callback):
    """Leaves something behind in the model."""

    def on_train_end(self, logs=None):
        self.model.layers[-1].kernel_initializer = keras.initializers.Constant(70.0)


def net():
    return keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(4, "tanh", kernel_regularizer=kp.NormalPrior(0, 1), name="hidden"),
            keras.layers.BatchNormalization(name="norm"),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(1, kernel_regularizer=kp.NormalPrior(0, 1), name="last"),
        ]
    )


def members(count, epochs=3, model=None, **options):
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.05, 9))
    method = kp.inference.DeepEnsemble(count, epochs=epochs, batch_size=8, optimizer=optimizer)
    posterior = method.fit(net() if model is None else model, X, Y, UNIT, verbose=0, **options)
    return posterior.draws() | {k: v[0] for k, v in posterior._states.items()}


@pytest.mark.parametrize(
    "callbacks", [[keras.callbacks.TerminateOnNaN()], [Seen()], lambda number: [Seen()]]
)
def test_members_are_the_same_by_themselves_and_with_callbacks(callbacks):
    """In one epoch to Keras, in epochs of the same model, and in a model for each."""
    expected = members(2, seed=3)
    found = members(2, seed=3, callbacks=callbacks)
    assert np.all(expected["hidden/kernel"][0] != expected["hidden/kernel"][1])
    for path, value in expected.items():
        np.testing.assert_array_equal(found[path], value)


def test_a_member_is_not_seen_in_the_next(monkeypatch):
    """With their seeds alike two members are one: weights, statistics, masks, rates, moments."""
    monkeypatch.setattr(
        "keras_priors.backend.spawn_seeds", _alike(kp.backend.spawn_seeds), raising=True
    )
    for first, second in members(2, seed=3).values():
        np.testing.assert_array_equal(first, second)


def _alike(spawn):
    def spawned(seed, count):
        seeds = np.array([[int(w) for w in pair] for pair in spawn(seed, count)])
        return np.repeat(seeds[:1], count, axis=0) if count == 2 else seeds

    return spawned


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="nothing is compiled there")
def test_the_step_is_compiled_once():
    calls = []
    for count in (1, 3):
        layer = Counting(1, kernel_regularizer=kp.NormalPrior(0, 1), name="last")
        model = keras.Sequential([keras.Input((3,)), layer])
        Counting.calls = 0
        members(count, model=model, seed=0)
        calls.append(Counting.calls)
    assert calls[0] == calls[1]


def test_what_a_callback_leaves_in_a_model_is_not_seen_in_the_next_member():
    prior = kp.NormalPrior(0, 100)
    last = keras.layers.Dense(1, kernel_regularizer=prior, name="last")
    model = keras.Sequential([keras.Input((3,)), last])
    found = members(2, model=model, seed=0, callbacks=[Leave()])
    assert np.all(np.abs(found["last/kernel"]) < 10.0)


@pytest.fixture
def half_precision():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    yield
    keras.config.set_dtype_policy(before)


def same_with_a_callback(optimizer):
    """Members by one model are those by a model for each."""
    last = keras.layers.Dense(1, kernel_regularizer=kp.NormalPrior(0, 1), name="last")
    model = keras.Sequential([keras.Input((3,)), last])
    method = kp.inference.DeepEnsemble(2, 3, 8, optimizer)
    found, expected = (
        method.fit(model, X, Y, UNIT, seed=3, verbose=0, callbacks=callbacks).draws()
        for callbacks in (None, [Seen()])
    )
    for path, value in expected.items():
        np.testing.assert_array_equal(found[path], value)
        assert np.all(value[0] != value[1])


def test_averages_of_an_optimizer_are_put_back():
    same_with_a_callback(keras.optimizers.Adam(0.05, use_ema=True, ema_overwrite_frequency=2))


def test_the_scale_of_the_loss_in_half_precision_is_put_back(half_precision):
    """Keras wraps the optimizer as the model is compiled."""
    same_with_a_callback("adam")
