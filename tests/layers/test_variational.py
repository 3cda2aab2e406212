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
