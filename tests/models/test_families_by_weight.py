"""Which weight of a converted model gets which posterior: noise, normalization, patterns."""

import warnings

import keras
import numpy as np
import pytest

import keras_priors as kp
from keras_priors.posteriors import Delta, FullNormal, LogNormal, MeanFieldNormal

to_numpy = keras.ops.convert_to_numpy


def families(model):
    """From the end of a weight's path to the class of its posterior."""
    return {
        "/".join(penalty.posterior.loc.path.removesuffix("_loc").split("/")[-2:]): type(
            penalty.posterior
        )
        for layer in model._flatten_layers()
        if isinstance(layer, kp.layers.VariationalLayer)
        for penalty in layer._kl_penalties
    }


def regression_net(norm=None, prior=None):
    middle = [] if norm is None else [norm]
    return keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(4, "tanh", kernel_regularizer=prior, name="hidden"),
            *middle,
            keras.layers.Dense(1, kernel_regularizer=prior, name="line"),
            kp.layers.NoiseScale(initial_scale=0.5, name="noise"),
        ]
    )


NORMALIZATION = {
    "batch": keras.layers.BatchNormalization,
    "layer": keras.layers.LayerNormalization,
    "group": lambda **kw: keras.layers.GroupNormalization(2, **kw),
    "rms": keras.layers.RMSNormalization,
}


@pytest.mark.parametrize("kind", NORMALIZATION)
class TestNormalization:
    def test_it_stays_a_point(self, kind):
        model = regression_net(NORMALIZATION[kind](name="norm"))
        new = kp.to_variational(model, prior=kp.NormalPrior(0.0, 1.0))
        assert type(new.get_layer("norm")) is type(model.get_layer("norm"))

    def test_a_rule_for_layers_names_it(self, kind):
        model = regression_net(NORMALIZATION[kind](name="norm"))
        new = kp.to_variational(model, layers="norm")
        assert isinstance(new.get_layer("norm"), kp.layers.Variational)
        assert isinstance(new.get_layer("line"), keras.layers.Dense)

    @pytest.mark.parametrize("argument", ["prior", "posterior"])
    def test_a_pattern_names_it(self, kind, argument):
        model = regression_net(NORMALIZATION[kind](name="norm"))
        name = model.get_layer("norm").trainable_variables[0].name
        rule = {"prior": kp.NormalPrior(1.0, 0.1), "posterior": "mean_field"}[argument]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of weights that took N(0, 1)
            new = kp.to_variational(model, **{argument: {f"norm/{name}": rule}})
        assert isinstance(new.get_layer("norm"), kp.layers.Variational)


def test_a_normalization_layer_with_priors_of_its_own_has_posteriors():
    priors = {"gamma_regularizer": kp.NormalPrior(1.0, 0.1), "beta_regularizer": kp.NormalPrior()}
    model = regression_net(keras.layers.LayerNormalization(**priors, name="norm"), kp.NormalPrior())
    new = kp.to_variational(model, prior={"*bias": kp.NormalPrior()})
    assert {p.prior.loc for p in new.get_layer("norm")._kl_penalties} == {0.0, 1.0}


def test_in_a_model_whose_graph_keras_does_not_know():
    @keras.saving.register_keras_serializable("test")
    class Own(keras.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.norm = keras.layers.LayerNormalization(name="norm")
            self.line = keras.layers.Dense(1, name="line")

        def call(self, x):
            return self.line(self.norm(x))

    model = Own(name="own")
    model(np.ones((2, 3), "float32"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        new = kp.to_variational(model)
    assert set(families(new)) == {"line/kernel", "line/bias"}
    assert len(new.trainable_variables) == 2 * 2 + 2


def test_within_a_layer_that_is_wrapped():
    @keras.saving.register_keras_serializable("test")
    class Block(keras.layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.norm = keras.layers.LayerNormalization(name="norm")
            self.line = keras.layers.Dense(3, name="line")

        def build(self, shape):
            self.norm.build(shape)
            self.line.build(shape)

        def call(self, x):
            return self.line(self.norm(x))

    model = keras.Sequential(
        [
            keras.Input((4, 3)),
            Block(name="block"),
            keras.layers.TimeDistributed(keras.layers.BatchNormalization(name="norm")),
        ]
    )
    new = kp.to_variational(model)
    assert set(families(new)) == {"line/kernel", "line/bias"}
    assert type(new.layers[1]) is keras.layers.TimeDistributed
    every = kp.to_variational(model, posterior={"norm/*": "mean_field"})
    assert len(families(every)) == 4 and len(every.layers[1]._kl_penalties) == 2


def test_noise_gets_a_log_normal_and_finds_its_posterior():
    rng = np.random.default_rng(0)
    n = 400
    y = 0.3 * rng.standard_normal((n, 1)).astype("float32")
    model = keras.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dense(1, kernel_initializer="zeros", trainable=False, name="line"),
            kp.layers.NoiseScale(kp.HalfCauchyPrior(100.0), initial_scale=0.35, name="noise"),
        ]
    )
    new = kp.to_variational(model, num_data=n, seed=1)
    (family,) = families(new).values()
    assert family is LogNormal
    # A KL sampled once a step: averaged over the last steps it moves by far less than q is wide.
    rate = keras.optimizers.schedules.CosineDecay(0.1, 400)
    new.compile(
        keras.optimizers.Adam(rate, beta_2=0.99), loss=kp.likelihoods.HeteroscedasticNormal()
    )
    x = np.zeros((n, 1), "float32")
    # Every step sees all data; an epoch of one step would cost more than the step.
    x, y_often = np.tile(x, (20, 1)), np.tile(y, (20, 1))
    new.fit(x, y_often, batch_size=n, epochs=20, shuffle=False, verbose=0)
    q = new.get_layer("noise")._kl_penalties[0].posterior
    # log s has a density whose curvature at the maximum is 2 N; the prior is flat that far below.
    location = float(to_numpy(q.loc)[0])
    spread = float(np.log1p(np.exp(to_numpy(q.rho)[0])))
    sd = 1.0 / np.sqrt(2 * n)
    assert abs(location - np.log(np.sqrt(np.mean(y**2)))) < 0.3 * sd
    assert abs(spread / sd - 1.0) < 0.15


def test_a_net_with_noise_is_converted_saved_and_made_plain(tmp_path):
    model = regression_net(prior=kp.NormalPrior(0.0, 1.0))
    x = np.random.default_rng(0).standard_normal((5, 3)).astype("float32")
    with pytest.warns(UserWarning, match="hidden/bias"):
        new = kp.to_variational(model, num_data=5, seed=0)
    assert families(new)["noise/scale"] is LogNormal
    np.testing.assert_allclose(to_numpy(new(x)), to_numpy(model(x)), rtol=1e-5, atol=1e-6)
    new.save(tmp_path / "it.keras")
    loaded = keras.models.load_model(tmp_path / "it.keras")
    likelihood = kp.likelihoods.HeteroscedasticNormal()
    draws = [kp.predict(m, x, 7, likelihood, seed=3, verbose=0).draws for m in (new, loaded)]
    np.testing.assert_allclose(draws[0], draws[1], rtol=1e-6)
    assert np.std(draws[0][:, 0, 1]) > 0
    plain = kp.to_deterministic(new)
    assert type(plain.get_layer("noise")) is kp.layers.NoiseScale
    np.testing.assert_allclose(to_numpy(plain(x)), to_numpy(model(x)), rtol=1e-5, atol=1e-6)


def test_families_by_pattern(tmp_path):
    model = regression_net()
    new = kp.to_variational(
        model,
        prior={"*kernel": kp.NormalPrior(0.0, 2.0), "*bias": kp.NormalPrior(0.0, 3.0)},
        posterior={"*kernel": "full", "line/*": "delta", "noise/scale": "delta"},
        num_data=5,
    )
    expected = {
        "hidden/kernel": FullNormal,
        "hidden/bias": MeanFieldNormal,
        "line/kernel": Delta,
        "line/bias": Delta,
        "noise/scale": Delta,
    }
    assert families(new) == expected
    new.save(tmp_path / "it.keras")
    assert families(keras.models.load_model(tmp_path / "it.keras")) == expected


def test_a_pattern_that_matches_nothing():
    with pytest.raises(ValueError, match=r"A pattern of `posterior` must match .*'convolution/"):
        kp.to_variational(regression_net(), posterior={"convolution/kernel": "full"})


def test_a_family_that_does_not_fit_is_still_refused():
    model = regression_net()
    with pytest.raises(ValueError, match="support"):
        kp.to_variational(model, posterior={"noise/scale": "mean_field"})


class TestWrapper:
    def test_families_by_pattern(self, tmp_path):
        layer = kp.layers.Variational(
            keras.layers.LSTM(2, name="lstm"), posterior={"*kernel": "delta", "bias": "full"}
        )
        model = keras.Sequential([keras.Input((4, 3)), layer])
        found = families(model)
        assert {path.rsplit("/", 1)[1]: family for path, family in found.items()} == {
            "kernel": Delta,
            "recurrent_kernel": Delta,
            "bias": FullNormal,
        }
        model.save(tmp_path / "it.keras")
        assert families(keras.models.load_model(tmp_path / "it.keras")) == families(model)

    def test_weights_without_a_pattern_are_mean_field(self):
        layer = kp.layers.Variational(keras.layers.LSTM(2), posterior={"bias": "delta"})
        layer.build((None, 4, 3))
        assert {path: type(q) for path, q in layer.posteriors.items()} == {
            "lstm_cell/kernel": MeanFieldNormal,
            "lstm_cell/recurrent_kernel": MeanFieldNormal,
            "lstm_cell/bias": Delta,
        }

    def test_a_pattern_that_matches_nothing(self):
        layer = kp.layers.Variational(keras.layers.LSTM(2), posterior={"gamma": "delta"})
        with pytest.raises(ValueError, match="'gamma'; there are"):
            layer.build((None, 4, 3))

    def test_a_constraint_that_says_more_than_the_prior_is_refused(self):
        noise = kp.layers.NoiseScale(scale_constraint=keras.constraints.UnitNorm())
        with pytest.raises(ValueError, match="scale_constraint"):
            kp.layers.Variational(noise, posterior="log_normal").build((None, 1))
