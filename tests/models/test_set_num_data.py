import contextlib
import copy
import pickle
import warnings
import zipfile

import keras
import numpy as np
import pytest
from keras import layers

from keras_priors.layers import VariationalDense
from keras_priors.models import set_num_data
from keras_priors.priors import NormalPrior

NUM_DATA = 150


def prior():
    return NormalPrior(0.0, 1.0)


@keras.saving.register_keras_serializable("test_set_num_data")
class Subclassed(keras.Model):
    """Keeps layers in an attribute, a list and a dict, and one in a layer of its own."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first = layers.Dense(4, kernel_regularizer=prior())
        self.more = [layers.Dense(4, bias_regularizer=prior()), VariationalDense(4)]
        self.last = {"out": keras.Sequential([layers.Dense(1, kernel_regularizer=prior())])}

    def call(self, x, training=None):
        x = self.first(x)
        for layer in self.more:
            x = layer(x, training=training) if isinstance(layer, VariationalDense) else layer(x)
        return self.last["out"](x)


def sequential():
    return keras.Sequential(
        [keras.Input((3,)), layers.Dense(2, kernel_regularizer=prior()), VariationalDense(1)]
    )


def functional():
    x = keras.Input((3,))
    shared = layers.Dense(3, kernel_regularizer=prior(), bias_regularizer=prior())
    return keras.Model(x, VariationalDense(1)(shared(shared(x))))


def nested():
    x = keras.Input((3,))
    return keras.Model(x, layers.Dense(1, kernel_regularizer=prior())(sequential()(x)))


def subclassed():
    model = Subclassed()
    model(np.zeros((1, 3), "float32"))
    return model


def wrapped():
    x = keras.Input((4, 3))
    lstm = layers.LSTM(2, recurrent_regularizer=prior(), return_sequences=True)
    h = layers.Bidirectional(lstm)(x)
    h = layers.TimeDistributed(layers.Dense(2, kernel_regularizer=prior()))(h)
    h = layers.MultiHeadAttention(2, 2, kernel_regularizer=prior())(h, h)
    h = layers.RNN([layers.GRUCell(2, kernel_regularizer=prior()), layers.LSTMCell(2)])(h)
    return keras.Model(x, layers.TimeDistributed(VariationalDense(1))(layers.RepeatVector(3)(h)))


MODELS = {
    "sequential": (sequential, 3),
    "functional": (functional, 4),
    "nested": (nested, 4),
    "subclassed": (subclassed, 5),
    # Two directions, one dense, four projections of the attention, one cell, kernel and bias.
    "wrapped": (wrapped, 2 + 1 + 4 + 1 + 2),
}


def regularizers(model):
    return [v.regularizer for v in model.variables if v.regularizer is not None]


@pytest.mark.parametrize("name", MODELS)
def test_every_prior_and_variational_layer_is_reached(name):
    make, count = MODELS[name]
    model = make()
    before = regularizers(model)
    assert len(before) == count
    assert [r.num_data for r in before] == [None] * count
    assert set_num_data(model, NUM_DATA) == NUM_DATA
    assert [r.num_data for r in regularizers(model)] == [NUM_DATA] * count
    for layer in model._flatten_layers():
        if isinstance(layer, VariationalDense):
            assert layer.num_data == NUM_DATA
            assert layer.kernel_prior.num_data == layer.bias_prior.num_data == NUM_DATA


@pytest.mark.parametrize("name", MODELS)
def test_it_is_saved_with_the_model(name, tmp_path):
    model = MODELS[name][0]()
    set_num_data(model, NUM_DATA)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    found = [r.num_data for r in regularizers(loaded)]
    assert found == [NUM_DATA] * MODELS[name][1]
    for layer in loaded._flatten_layers():
        if isinstance(layer, VariationalDense):
            assert layer.num_data == NUM_DATA


@keras.saving.register_keras_serializable("test_set_num_data")
class MakesPriors(keras.layers.Layer):
    """One prior is written with a number, one is kept nowhere."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.prior = NormalPrior(0.0, 1.0, num_data=7)

    def build(self, input_shape):
        self.scale = self.add_weight(name="scale", shape=(1,), regularizer=self.prior)
        self.shift = self.add_weight(name="shift", shape=(1,), regularizer=prior())

    def call(self, x):
        return x * self.scale + self.shift


def test_what_a_layer_makes_for_itself_is_saved_where_it_keeps_it(tmp_path):
    model = keras.Sequential([keras.Input((1,)), MakesPriors()])
    set_num_data(model, NUM_DATA)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    loaded.compile("sgd", zero_loss)
    layer = loaded.layers[0]
    assert (layer.scale.regularizer.num_data, layer.shift.regularizer.num_data) == (NUM_DATA, None)
    # What is lost is not lost in silence.
    ones = np.ones((4, 1), "float32")
    with pytest.warns(UserWarning, match="never given for a NormalPrior: "):
        loaded.fit(ones, ones, verbose=0)


def test_weights_do_not_bring_it_along(tmp_path):
    """They may come from other data."""
    model = subclassed()
    set_num_data(model, NUM_DATA)
    for path in (tmp_path / "model.keras", tmp_path / "model.weights.h5"):
        (model.save if path.suffix == ".keras" else model.save_weights)(path)
        fresh = subclassed()
        fresh.load_weights(path)
        assert {r.num_data for r in regularizers(fresh)} == {None}
        set_num_data(fresh, 10)
        fresh.load_weights(path)
        assert {r.num_data for r in regularizers(fresh)} == {10}


def test_a_file_without_it_loads(tmp_path):
    model = subclassed()
    model.save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as file:
        assert not any("num_data" in name for name in file.namelist())
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert {r.num_data for r in regularizers(loaded)} == {None}


def test_a_prior_is_copied_and_pickled_as_any_object():
    for copied in (copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p))):
        assert copied(NormalPrior(0.0, 2.0, num_data=4)).get_config() == {
            "loc": 0.0,
            "scale": 2.0,
            "num_data": 4,
        }


def test_a_model_that_is_not_built_yet():
    model = keras.Sequential([layers.Dense(2, kernel_regularizer=prior()), VariationalDense(1)])
    set_num_data(model, NUM_DATA)
    model.build((None, 3))
    assert [r.num_data for r in regularizers(model)] == [NUM_DATA] * 3


def test_a_prior_on_the_variable_alone():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    model.layers[0].kernel.regularizer = prior()
    set_num_data(model, NUM_DATA)
    assert model.layers[0].kernel.regularizer.num_data == NUM_DATA


def test_a_frozen_weight_takes_it_too():
    model = sequential()
    model.trainable = False
    set_num_data(model, NUM_DATA)
    assert {r.num_data for r in regularizers(model)} == {NUM_DATA}


def test_without_a_prior_it_says_what_to_do():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2, kernel_regularizer="l2")])
    with pytest.raises(ValueError, match=r"none was found[\s\S]*kernel_regularizer=keras_priors"):
        set_num_data(model, NUM_DATA)
    with pytest.raises(ValueError, match=r"not built yet[\s\S]*model\.build\(input_shape\)"):
        set_num_data(keras.Sequential([layers.Dense(2)]), NUM_DATA)


def test_only_a_model_is_taken():
    with pytest.raises(TypeError, match=r"must be a keras\.Model[\s\S]*prior\.num_data = "):
        set_num_data(layers.Dense(1, kernel_regularizer=prior()), NUM_DATA)


def to_float(tensor):
    return float(keras.ops.convert_to_numpy(tensor))


def zero_loss(y, prediction):
    return 0.0 * keras.ops.sum(prediction, axis=-1)


@pytest.mark.parametrize("variational", [False, True])
@pytest.mark.parametrize("jit_compile", [False, "auto"])
def test_a_traced_function_takes_the_new_value(variational, jit_compile):
    layer = (
        VariationalDense(2, seed=0)
        if variational
        else layers.Dense(2, kernel_regularizer=prior(), bias_regularizer=prior())
    )
    inner = keras.Sequential([keras.Input((3,)), layer])
    x = keras.Input((3,))
    model = keras.Model(x, inner(x))
    model.compile(keras.optimizers.SGD(0.0), zero_loss, jit_compile=jit_compile)
    inner.compile(keras.optimizers.SGD(0.0), zero_loss, jit_compile=jit_compile)
    data, targets = np.ones((8, 3), "float32"), np.ones((8, 2), "float32")
    if variational:
        nats = to_float(layer.kl())
    else:
        nats = -to_float(prior().log_prob(layer.kernel) + prior().log_prob(layer.bias))
    for num_data in (10, 1000):
        set_num_data(model, num_data)
        expected = pytest.approx(nats / num_data, rel=1e-5)
        for _ in range(2):
            assert model.evaluate(data, targets, verbose=0) == expected
            assert inner.evaluate(data, targets, verbose=0) == expected
            assert model.fit(data, targets, verbose=0).history["loss"][0] == expected


def test_it_can_be_called_in_the_midst_of_a_fit():
    class Change(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            set_num_data(self.model, 10 ** (epoch + 1))

    model = keras.Sequential([keras.Input((3,)), layers.Dense(2, kernel_regularizer=prior())])
    model.compile(keras.optimizers.SGD(0.0), zero_loss)
    set_num_data(model, 1)
    data, targets = np.ones((8, 3), "float32"), np.ones((8, 2), "float32")
    losses = model.fit(data, targets, epochs=3, callbacks=[Change()], verbose=0).history["loss"]
    nats = -to_float(prior().log_prob(model.layers[0].kernel))
    np.testing.assert_allclose(losses, nats / np.array([10, 100, 1000]), rtol=1e-5)


@contextlib.contextmanager
def unset_warnings():
    """Those about `num_data` that Python shows by default: each text once."""
    found = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        yield found
    found += [str(w.message) for w in caught if "num_data was never given" in str(w.message)]


def data_for_it():
    return np.ones((12, 3), "float32"), np.ones((12, 1), "float32")


def test_unset_is_said_once_with_the_line_that_mends_it():
    model = sequential()
    model.compile("sgd", "mse")
    data, targets = data_for_it()
    with unset_warnings() as found:
        model.fit(data, targets, batch_size=4, epochs=2, verbose=0)
    assert sorted(text.split(":")[0].split("for a ")[1] for text in found) == [
        "NormalPrior",
        "variational layer",
    ]
    assert all("`keras_priors.set_num_data(model, x_train)`" in text for text in found)
    set_num_data(model, data)
    with unset_warnings() as found:
        model.fit(data, targets, batch_size=4, verbose=0)
    assert found == []


def loop(model, data, targets):
    """A training step of one's own: what the loss of it is made of."""
    model.compute_loss(y=targets, y_pred=model(data, training=True))


def stateless(model, data, targets):
    """The same as a pure function."""
    variables = [[v.value for v in vs] for vs in (model.trainable_variables,)]
    fixed = [v.value for v in model.non_trainable_variables]
    model.stateless_call(*variables, fixed, data, training=True, return_losses=True)


def batch_by_batch(model, data, targets):
    model.train_on_batch(data, targets)


@pytest.mark.parametrize("step", [loop, stateless, batch_by_batch])
def test_a_training_loop_of_ones_own_is_warned_once(step):
    model = sequential()
    model.compile("sgd", "mse")
    with unset_warnings() as found:
        for _ in range(2):
            step(model, *data_for_it())
    assert len(found) == 2
    with unset_warnings() as found:
        prior()(data_for_it()[0])  # by itself a penalty is no training
    assert found == []
