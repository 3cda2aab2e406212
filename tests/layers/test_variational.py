"""The wrapper keeps what the wrapped layer does besides its weights."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import keras_priors as kp
from keras_priors.layers import Variational

RNG = np.random.default_rng(0)


def to_numpy(x):
    return ops.convert_to_numpy(ops.convert_to_tensor(x))


def floats(*shape):
    return RNG.normal(size=shape).astype("float32")


def test_statistics_of_batch_normalization_are_those_of_the_plain_layer():
    x = 3 + 2 * floats(32, 4)
    plain = layers.BatchNormalization()
    wrapped = Variational(layers.BatchNormalization(), posterior="delta", seed=0)
    for _ in range(3):
        expected = to_numpy(plain(x, training=True))
        np.testing.assert_allclose(to_numpy(wrapped(x, training=True)), expected, rtol=1e-5)
    for name in ("moving_mean", "moving_variance"):
        found, there = (to_numpy(vars(x)[name]) for x in (wrapped.layer, plain))
        assert not np.allclose(found, 0.0)
        np.testing.assert_allclose(found, there, rtol=1e-6)


def test_fit_updates_state_and_trains_means_and_scales():
    model = keras.Sequential(
        [keras.Input((4,)), Variational(layers.BatchNormalization(), num_data=32, seed=0)]
    )
    wrapped = model.layers[0]
    watched = {
        "mean": wrapped.layer.moving_mean,
        "gamma": wrapped.layer.gamma,
        "rho": wrapped.posteriors["gamma"].rho,
    }
    before = {name: to_numpy(v).copy() for name, v in watched.items()}
    model.compile("adam", kp.likelihoods.Normal())
    model.fit(3 + floats(32, 4), floats(32, 4), batch_size=8, epochs=1, verbose=0)
    for name, v in watched.items():
        assert np.all(to_numpy(v) != before[name]), name


def test_one_draw_for_the_whole_sequence_and_all_rows():
    wrapped = Variational(layers.TimeDistributed(layers.Dense(2)), seed=0)
    x = np.ones((3, 5, 4), "float32")
    first, second = (to_numpy(wrapped(x, training=True)) for _ in range(2))
    np.testing.assert_allclose(first, np.broadcast_to(first[:1, :1], first.shape), rtol=1e-6)
    assert not np.allclose(first, second)


def test_moments_of_the_output_of_a_linear_layer():
    posterior = kp.posteriors.MeanFieldNormal(0.3)
    wrapped = Variational(layers.Dense(2, use_bias=False), posterior=posterior, seed=0)
    x = floats(3, 4)
    draws = np.stack([to_numpy(wrapped(x, training=True)) for _ in range(400)])
    mean = to_numpy(wrapped(x))
    sd = np.broadcast_to(0.3 * np.sqrt(np.sum(x**2, axis=1, keepdims=True)), mean.shape)
    assert np.abs((draws.mean(axis=0) - mean) / (sd / 20)).max() < 4
    assert np.abs((draws.var(axis=0) / sd**2 - 1) * np.sqrt(400 / 2)).max() < 4


def test_a_shared_wrapper_counts_its_kl_once():
    a, b = keras.Input((4,)), keras.Input((4,))
    shared = Variational(layers.Dense(2), num_data=50, seed=0)
    model = keras.Model([a, b], layers.Add()([shared(a), shared(b)]))
    penalty = sum(to_numpy(x) for x in model.losses)
    np.testing.assert_allclose(penalty, to_numpy(shared.kl()) / 50, rtol=1e-5)


def test_losses_inside_are_kept():
    inner = layers.Dense(2, activity_regularizer=keras.regularizers.L2(1.0))
    wrapped = Variational(inner, posterior="delta", num_data=10, prior=kp.NormalPrior(0, 1))
    x = floats(6, 4)
    y = to_numpy(wrapped(x))
    activity = sum(float(to_numpy(loss)) for loss in wrapped.losses)
    penalty = float(to_numpy(wrapped.kl())) / 10
    np.testing.assert_allclose(activity - penalty, np.sum(y**2) / 6, rtol=1e-4)


def test_masks_reach_the_wrapped_layer():
    tokens = np.array([[3, 4, 0, 0], [5, 0, 0, 0]], "int32")
    embed = layers.Embedding(8, 3, mask_zero=True)
    plain = layers.LSTM(2)
    wrapped = Variational(layers.LSTM(2), seed=0)
    embedded = embed(tokens)
    plain(embedded), wrapped(embedded)
    for source, target in zip(plain.weights, wrapped.layer.weights, strict=True):
        target.assign(source)
    np.testing.assert_allclose(to_numpy(wrapped(embedded)), to_numpy(plain(embedded)), atol=1e-6)
    unmasked = to_numpy(plain(to_numpy(embedded)))
    assert not np.allclose(unmasked, to_numpy(wrapped(embedded)), atol=1e-4)


def test_several_inputs_by_name():
    wrapped = Variational(layers.MultiHeadAttention(2, 3), weights="*kernel", seed=0)
    q, v = floats(2, 5, 4), floats(2, 6, 4)
    y = wrapped(query=q, value=v)
    np.testing.assert_allclose(to_numpy(y), to_numpy(wrapped.layer(query=q, value=v)), atol=1e-6)
    assert sorted(wrapped.posteriors) == [
        f"{name}/kernel" for name in ("attention_output", "key", "query", "value")
    ]


def test_arguments_are_those_of_the_wrapped_layer():
    attention = layers.MultiHeadAttention(2, 3)
    wrapped, x = Variational(attention, seed=0), floats(2, 5, 4)
    options = {
        "attention_mask": np.array([[[1, 1, 1, 0, 0]]] * 2, bool),
        "return_attention_scores": True,
        "use_causal_mask": True,
    }
    for found, expected in zip(wrapped(x, x, **options), attention(x, x, **options), strict=True):
        np.testing.assert_allclose(to_numpy(found), to_numpy(expected), atol=1e-6)
    with pytest.raises(TypeError, match="no_such"):
        wrapped(x, x, no_such=True)


def test_initial_states_and_returned_states():
    lstm = layers.LSTM(3, return_state=True)
    wrapped, x = Variational(lstm, seed=0), floats(2, 5, 4)
    states = [floats(2, 3), floats(2, 3)]
    mask = np.array([[1, 1, 1, 0, 0], [1, 1, 0, 0, 0]], bool)
    expected = lstm(x, initial_state=states, mask=mask)
    for y, other in zip(wrapped(x, initial_state=states, mask=mask), expected, strict=True):
        np.testing.assert_allclose(to_numpy(y), to_numpy(other), atol=1e-6)
    inputs = keras.Input((5, 4)), [keras.Input((3,)), keras.Input((3,))]
    model = keras.Model([inputs[0], *inputs[1]], wrapped(inputs[0], initial_state=inputs[1]))
    y = model.predict([x, *states], verbose=0)[0]
    expected = to_numpy(lstm(x, initial_state=states)[0])
    np.testing.assert_allclose(y, expected, atol=1e-6)


def test_a_stateful_layer_goes_on_where_it_stopped():
    first, second = layers.LSTM(3, stateful=True), layers.LSTM(3, stateful=True)
    x = floats(2, 5, 4)
    first(x), second(x)
    for v, source in zip(second.variables, first.variables, strict=True):
        v.assign(source)
    wrapped = Variational(first, posterior=kp.posteriors.MeanFieldNormal(1e-7), seed=0)
    first.reset_state(), second.reset_state()
    seen = []
    for training in (False, True, False):
        y = to_numpy(wrapped(x, training=training))
        np.testing.assert_allclose(y, to_numpy(second(x)), rtol=1e-4, atol=1e-5)
        assert not any(np.allclose(y, other, atol=1e-4) for other in seen)
        seen.append(y)


def test_training_reaches_layers_that_do_not_ask_for_it():
    class Outer(layers.Layer):
        def __init__(self):
            super().__init__()
            self.inner = layers.Dense(50)
            self.drop = layers.Dropout(0.5, seed=1)

        def build(self, shape):
            self.inner.build(shape)
            self.built = True

        def call(self, x):
            return self.drop(self.inner(x))

    wrapped, x = Variational(Outer(), seed=0), np.ones((2, 4), "float32")
    first, second = (to_numpy(wrapped(x, training=True)) for _ in range(2))
    assert np.any(first == 0) and np.any((first == 0) != (second == 0))
    assert not np.any(to_numpy(wrapped(x)) == 0)


def test_positive_weights():
    wrapped = Variational(
        layers.BatchNormalization(),
        weights="gamma",
        posterior=kp.posteriors.LogNormal(0.05),
        prior=kp.GammaPrior(2.0, 1.0),
        seed=0,
    )
    wrapped.build((None, 3))
    np.testing.assert_allclose(to_numpy(wrapped.posteriors["gamma"].mean()), np.ones(3), rtol=2e-3)


class Tally(layers.Layer):
    """Holds a number that float16 does not have, and counts its calls."""

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[-1],), name="kernel")
        self.fixed = self.add_weight(shape=(), initializer="zeros", trainable=False, name="fixed")
        self.count = self.add_weight(
            shape=(), initializer="zeros", trainable=False, dtype="int32", name="count"
        )
        self.built = True

    def call(self, x):
        self.count.assign_add(1)
        return x * self.kernel + ops.cast(self.fixed, x.dtype)


def test_half_precision_leaves_state_that_is_not_updated():
    wrapped = Variational(Tally(dtype="mixed_float16"), seed=0)
    wrapped.build((None, 3))
    wrapped.layer.fixed.assign(2049.0)
    for training in (False, True):
        wrapped(floats(2, 3), training=training)
    assert float(to_numpy(wrapped.layer.fixed)) == 2049.0
    assert int(to_numpy(wrapped.layer.count)) == 2


def test_config_and_file(tmp_path):
    wrapped = Variational(
        layers.GRU(3), prior={"bias": kp.LaplacePrior(0, 2)}, weights=["bias", "kernel"], seed=4
    )
    model = keras.Sequential([keras.Input((None, 2)), wrapped])
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras").layers[0]
    assert list(loaded.posteriors) == list(wrapped.posteriors)
    assert loaded.patterns == ("bias", "kernel")
    priors = {p.posterior.loc.name: p.prior for p in loaded._kl_penalties}
    assert isinstance(priors["bias"], kp.LaplacePrior)
    assert isinstance(priors["kernel"], kp.NormalPrior)


def test_patterns_match_the_same_weights_after_loading(tmp_path):
    # `variable.path` has lost the name of the stack by then.
    cells = layers.RNN([layers.GRUCell(3), layers.GRUCell(2)])
    rules = {"stacked_rnn_cells*/gru_cell*/kernel": kp.LaplacePrior(0, 2)}
    model = keras.Sequential([keras.Input((5, 2)), Variational(cells, prior=rules, seed=0)])
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    for m in (loaded, keras.models.clone_model(model)):
        names, found = (
            [(name, type(p.prior)) for name, p in zip(x.posteriors, x._kl_penalties, strict=True)]
            for x in (model.layers[0], m.layers[0])
        )
        assert names == found
        assert [kind for _, kind in found].count(kp.LaplacePrior) == 2


def test_two_weights_of_one_name_are_two():
    class Twice(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.parts = [layers.Dense(4, use_bias=False, name="part") for _ in range(2)]

        def build(self, shape):
            for part in self.parts:
                part.build(shape)
            self.built = True

        def call(self, x):
            return self.parts[1](self.parts[0](x))

    wrapped = Variational(Twice(), seed=0)
    wrapped.build((None, 4))
    assert list(wrapped.posteriors) == ["part/kernel", "part/kernel#2"]


def test_a_layer_frozen_after_it_was_chosen_loads(tmp_path):
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(3), layers.Dense(2)])
    model = keras.Sequential([keras.Input((4,)), Variational(inner, seed=0)])
    inner.layers[0].trainable = False
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    x = floats(3, 4)
    np.testing.assert_allclose(to_numpy(loaded(x)), to_numpy(model(x)), atol=1e-6)


class TestMistakes:
    def test_not_a_layer(self):
        with pytest.raises(TypeError, match="must be a Keras layer"):
            Variational("lstm")

    def test_variational_already(self):
        with pytest.raises(ValueError, match="variational already"):
            Variational(kp.VariationalDense(2))

    @pytest.mark.parametrize(
        "arguments", [{"weights": "kern"}, {"prior": {"kern": kp.NormalPrior()}}]
    )
    def test_a_pattern_that_matches_nothing(self, arguments):
        with pytest.raises(ValueError, match=r"'kern'.*kernel"):
            Variational(layers.Dense(2), **arguments).build((None, 3))

    def test_a_prior_that_is_none(self):
        with pytest.raises(TypeError, match="must be a prior"):
            Variational(layers.Dense(2), prior="normal")

    def test_another_regularizer(self):
        with pytest.raises(ValueError, match="must be a prior"):
            Variational(layers.Dense(2, kernel_regularizer="l2")).build((None, 3))

    def test_a_constraint_under_a_posterior_with_spread(self):
        with pytest.raises(ValueError, match="constraint"):
            Variational(layers.Dense(2, kernel_constraint="non_neg")).build((None, 3))

    def test_a_prior_whose_shape_does_not_fit(self):
        with pytest.raises(ValueError, match="shape"):
            Variational(layers.Dense(2), prior=kp.NormalPrior(np.zeros(5))).build((None, 3))


class SaysTraining(layers.Layer):
    """Takes `training`, and adds what it was told to its input."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.told = []

    def build(self, input_shape):
        self.shift = self.add_weight(name="shift", shape=(1,), initializer="zeros")

    def call(self, x, training=None):
        self.told.append(training)
        return x + self.shift


def test_the_wrapped_layer_is_told_training_by_keras_and_by_call():
    """`call` hands it on where Keras does not: outside a call by Keras."""
    wrapped, x = Variational(SaysTraining(), posterior="delta", seed=0), floats(2, 3)
    wrapped(x)
    for training in (True, False):
        for outer in (wrapped, wrapped.call):
            wrapped.layer.told.clear()
            outer(x, training=training)
            assert wrapped.layer.told == [training]


def test_whether_keras_calls_is_known_again_after_an_error():
    """Else a later `call` by itself would keep `training` from the wrapped layer."""

    class Fails(SaysTraining):
        def call(self, x, training=None):
            if training == "fail":
                raise ArithmeticError("on purpose")
            return super().call(x, training=training)

    wrapped, x = Variational(Fails(), posterior="delta", seed=0), floats(2, 3)
    wrapped(x)
    assert not wrapped._keras_calls
    with pytest.raises(ArithmeticError):
        wrapped(x, training="fail")
    assert not wrapped._keras_calls
    wrapped.layer.told.clear()
    wrapped.call(x, training=True)
    assert wrapped.layer.told == [True]
