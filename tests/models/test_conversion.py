"""There and back: every model of the zoo, made variational and plain again."""

import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest

import keras_priors as kp
from keras_priors.layers.variational_layer import VariationalLayer
from tests.models._zoo import SUBCLASSED, ZOO, difference, outputs, scatter


def to_numpy(x):
    return keras.ops.convert_to_numpy(keras.ops.convert_to_tensor(x))


TIGHT = kp.posteriors.MeanFieldNormal(1e-3)


# The others compile many small functions on JAX and TensorFlow.
QUICK = ("mlp", "text_classifier", "nested", "subclassed", "subclassed_in_subclassed")


@pytest.fixture(
    scope="module",
    params=[name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in ZOO],
)
def case(request):
    model, x = ZOO[request.param]()
    scatter(model)
    return request.param, model, x, kp.to_variational(model, num_data=10, seed=0)


def variational_layers(model):
    return [x for x in model._flatten_layers() if isinstance(x, VariationalLayer)]


def test_at_the_means_it_computes_what_the_original_does(case):
    _, model, x, new = case
    assert difference(model, new, x) < 1e-6


def test_every_trainable_weight_has_a_posterior(case):
    _, model, _, new = case
    found = [q for layer in variational_layers(new) for q in layer._kl_penalties]
    # The factors of normalization layers stay points.
    weights = [v for v in model.trainable_variables if not v.path.endswith(("/gamma", "/beta"))]
    assert len(found) == len(weights)
    # Mean-field variables cost twice the weights, and one kl_weight a layer.
    extra = len(variational_layers(new))
    assert new.count_params() == (
        sum(np.prod(v.shape, dtype=int) for v in weights) + model.count_params() + extra
    )


def test_the_original_is_not_touched(case):
    _, model, _, _ = case
    assert not variational_layers(model)
    assert all(v.regularizer is None for v in model.trainable_variables)


def test_names_are_kept(case):
    name, model, _, new = case
    assert new.name == model.name
    if name not in SUBCLASSED:
        named, before = (
            [x.name for x in m.layers if not isinstance(x, keras.layers.InputLayer)]
            for m in (new, model)
        )
        assert named == before


def test_training_draws_and_prediction_does_not(case):
    _, _, x, new = case
    tensors = keras.tree.map_structure(keras.ops.convert_to_tensor, x)
    draws = [keras.tree.flatten(new(tensors, training=True))[0] for _ in range(2)]
    assert not np.array_equal(*[to_numpy(y) for y in draws])
    assert np.array_equal(outputs(new, x)[0], outputs(new, x)[0])


def test_it_is_saved_and_loaded(case, tmp_path):
    _, _, x, new = case
    new.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert difference(new, loaded, x) == 0
    before, after = (
        [to_numpy(layer.kl()) for layer in variational_layers(m)] for m in (new, loaded)
    )
    np.testing.assert_allclose(before, after, rtol=1e-6)


def test_and_back(case, tmp_path):
    _, model, x, new = case
    plain = kp.to_deterministic(new)
    assert difference(new, plain, x) < 1e-6
    assert not variational_layers(plain)
    assert [v.shape for v in plain.variables] == [v.shape for v in model.variables]
    text = str(keras.saving.serialize_keras_object(plain))
    assert "keras_priors" not in text


def test_back_at_one_draw(case):
    _, _, x, new = case
    a, b, c = (kp.to_deterministic(new, seed=seed) for seed in (1, 1, 2))
    assert difference(a, b, x) == 0
    assert difference(a, c, x) > 0


def test_models_share_no_memory():
    """On JAX an array that two models hold is freed for both by a training step of one."""
    plain = keras.Sequential(
        [
            keras.Input((4, 3)),
            keras.layers.LSTM(3),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5, seed=0),
            keras.layers.Dense(2),
        ]
    )
    bayesian = kp.to_variational(plain, num_data=4, seed=0)
    models = {
        "plain": plain,
        "fresh": kp.to_variational(plain, start="fresh", num_data=4),
        "bayesian": bayesian,
        "mean": kp.to_deterministic(bayesian),
        "draw": kp.to_deterministic(bayesian, seed=0),
        "pruned": kp.prune(bayesian, fraction=0.5)[0],
    }
    x, y = np.ones((4, 4, 3), "float32"), np.zeros((4, 2), "float32")
    expected = {name: model.predict(x, verbose=0) for name, model in models.items()}
    for name, model in models.items():
        model.compile(keras.optimizers.SGD(0.1), "mse")
        np.testing.assert_allclose(
            model.predict(x, verbose=0), expected[name], atol=1e-6, err_msg=name
        )
        model.fit(x, y, verbose=0)
        assert np.any(model.predict(x, verbose=0) != expected[name])


@pytest.mark.slow
def test_draws_of_the_plain_model_have_the_spread_of_the_posterior():
    model = kp.to_variational(
        scatter(ZOO["mlp"]()[0]), posterior=kp.posteriors.MeanFieldNormal(0.5)
    )
    draws = [kp.to_deterministic(model, seed=seed) for seed in range(200)]
    kernels = np.stack([to_numpy(m.layers[0].kernel.value).copy() for m in draws])
    posterior = model.layers[0].kernel_posterior
    mean = to_numpy(posterior.mean())
    error = (kernels.mean(axis=0) - mean) / (0.5 / np.sqrt(200))
    assert np.abs(error).max() < 4
    assert abs(kernels.std(axis=0).mean() / 0.5 - 1) < 0.05


@pytest.mark.slow
def test_it_trains(case):
    _, _, x, new = case
    new.compile("adam", "mse")
    target = keras.tree.map_structure(
        lambda y: np.zeros(y.shape, "float32"), new.predict(x, verbose=0)
    )
    history = new.fit(x, target, epochs=2, batch_size=3, verbose=0).history["loss"]
    assert np.all(np.isfinite(history))
    if not isinstance(target, dict):
        assert kp.predict(new, x, num_samples=3, seed=0).draws.std(axis=0).max() > 0


@keras.saving.register_keras_serializable("tests")
class Traced(keras.layers.Layer):
    """Counts how often its Python code runs: once a trace."""

    traces = 0

    def call(self, x):
        Traced.traces += 1
        return x


@pytest.mark.skipif(keras.config.backend() == "torch", reason="PyTorch runs eagerly")
def test_no_retracing_after_the_first_epoch():
    stack = [
        keras.layers.Dense(4),
        Traced(),
        keras.layers.LSTM(3),
        keras.layers.BatchNormalization(),
        keras.layers.Dense(2),
    ]
    plain = keras.Sequential([keras.Input((5, 4)), *stack])
    plain.compile("adam", "mse")
    new = kp.to_variational(plain, num_data=10, seed=0)
    x, y = np.ones((10, 5, 4), "float32"), np.ones((10, 2), "float32")
    new.fit(x, y, batch_size=4, verbose=0)  # with a last batch that is shorter
    counted = Traced.traces
    new.fit(x, y, batch_size=4, epochs=3, verbose=0)
    assert Traced.traces == counted > 0


@pytest.mark.slow
def test_mobilenet():
    model = keras.applications.MobileNetV2(input_shape=(32, 32, 3), weights=None, classes=5)
    x = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("float32")
    new = kp.to_variational(model, seed=0)
    assert difference(model, new, x) < 1e-6
    assert difference(model, kp.to_deterministic(new), x) < 1e-6


class TestChoices:
    def model(self):
        return scatter(ZOO["mlp"]()[0])

    @pytest.mark.parametrize(
        ("rule", "converted"),
        [
            (None, ["first", "second"]),
            ("last", ["second"]),
            ("fir*", ["first"]),
            (keras.layers.Dense, ["first", "second"]),
            (lambda layer: layer.units == 2, ["second"]),
            (["last", "first"], ["first", "second"]),
        ],
    )
    def test_layers(self, rule, converted):
        new = kp.to_variational(self.model(), layers=rule)
        assert [layer.name for layer in variational_layers(new)] == converted

    def test_layers_of_a_subclassed_model(self):
        model, x = ZOO["subclassed"]()
        new = kp.to_variational(model, layers="out")
        assert sorted(new.wrapped.posteriors) == ["out/bias", "out/kernel"]
        assert difference(model, new, x) < 1e-6

    def test_frozen_layers_stay_plain_and_frozen(self):
        model = self.model()
        model.layers[0].trainable = False
        new = kp.to_variational(model)
        assert [layer.name for layer in variational_layers(new)] == ["second"]
        assert not new.layers[0].trainable

    def test_prior_for_all(self):
        new = kp.to_variational(self.model(), prior=kp.LaplacePrior(0.0, 2.0))
        assert all(
            isinstance(p.prior, kp.LaplacePrior)
            for layer in variational_layers(new)
            for p in layer._kl_penalties
        )

    def test_prior_by_pattern_where_later_ones_win(self):
        rules = {"*": kp.NormalPrior(0.0, 2.0), "first/kernel": kp.NormalPrior(0.0, 3.0)}
        first, second = kp.to_variational(self.model(), prior=rules).layers
        assert (first.kernel_prior.scale, first.bias_prior.scale) == (3.0, 2.0)
        assert second.kernel_prior.scale == 2.0

    def test_a_prior_that_is_there_is_kept(self):
        dense = keras.layers.Dense(2, kernel_regularizer=kp.NormalPrior(0.0, 5.0))
        with pytest.warns(UserWarning, match="with none for .*bias, which took NormalPrior"):
            new = kp.to_variational(keras.Sequential([keras.Input((3,)), dense]))
        assert new.layers[0].kernel_prior.scale == 5.0
        assert new.layers[0].bias_prior.scale == 1.0

    def test_pretrained_prior(self, tmp_path):
        model = self.model()
        new = kp.to_variational(model, prior=kp.pretrained_prior(model, scale=0.1))
        new.save(tmp_path / "m.keras")
        for m in (new, keras.models.load_model(tmp_path / "m.keras")):
            prior = m.layers[0].kernel_prior
            kernel = to_numpy(model.layers[0].kernel)
            np.testing.assert_allclose(prior.loc, kernel, rtol=1e-6)
            assert prior.scale == 0.1

    def test_pretrained_prior_of_wrapped_layers(self):
        model, _ = ZOO["text_classifier"]()
        new = kp.to_variational(model, prior=kp.pretrained_prior(model, scale=0.1))
        lstm = new.get_layer("lstm")
        for penalty in lstm._kl_penalties:
            value = to_numpy(penalty.posterior.mean())
            np.testing.assert_allclose(penalty.prior.loc, value, rtol=1e-6)

    def test_pretrained_prior_is_saved_as_bytes(self, tmp_path):
        lstm = keras.layers.LSTM(8, name="lstm")
        model = keras.Sequential([keras.Input((3, 20)), lstm, keras.layers.Dense(20, name="out")])
        new = kp.to_variational(model, prior=kp.pretrained_prior(model, scale=0.1))
        new.save(tmp_path / "m.keras")
        with zipfile.ZipFile(tmp_path / "m.keras") as file:
            size = file.getinfo("config.json").file_size
        assert size < 6 * model.count_params() + 9000
        loaded = keras.models.load_model(tmp_path / "m.keras", safe_mode=True)
        for m in (new, loaded, keras.models.clone_model(new)):
            for layer in variational_layers(m):
                plain = model.get_layer(layer.name).trainable_variables
                for v, penalty in zip(plain, layer._kl_penalties, strict=True):
                    assert np.array_equal(penalty.prior.loc, to_numpy(v))

    def test_fresh_start(self):
        model = self.model()
        new = kp.to_variational(model, start="fresh")
        bias = to_numpy(keras.ops.stop_gradient(new.layers[0].bias_posterior.mean()))
        assert np.array_equal(bias, np.zeros(8))

    def test_fresh_start_of_a_wrapped_layer(self):
        model = keras.Sequential([keras.Input((3, 2)), keras.layers.SimpleRNN(2, name="rnn")])
        model.layers[0].cell.bias.assign([1.0, 2.0])
        for start, expected in (("fresh", [0.0, 0.0]), ("pretrained", [1.0, 2.0])):
            (rnn,) = kp.to_variational(model, start=start, num_data=7).layers
            means = [to_numpy(keras.ops.stop_gradient(q.mean())) for q in rnn.posteriors.values()]
            (bias,) = (mean for mean in means if mean.ndim == 1)
            assert bias.tolist() == expected and rnn.num_data == 7

    def test_each_layer_draws_by_itself_and_the_seed_repeats_it(self):
        inputs = keras.Input((2,))
        layers = [keras.layers.Dense(3, kernel_initializer="ones", name=name) for name in "ab"]
        model = keras.Model(inputs, [layer(inputs) for layer in layers])
        x = np.ones((1, 2), "float32")
        first, again = (
            [to_numpy(y) for y in kp.to_variational(model, seed=3)(x, training=True)]
            for _ in range(2)
        )
        np.testing.assert_array_equal(first, again)
        assert np.all(first[0] != first[1])

    def test_posterior_and_estimator(self):
        new = kp.to_variational(self.model(), posterior=TIGHT, estimator="flipout")
        layer = new.layers[0]
        assert layer.estimator == "flipout"
        scale = to_numpy(layer.kernel_posterior.stddev())
        np.testing.assert_allclose(scale, 1e-3, rtol=1e-5)

    def test_compile_state_of_a_subclassed_model_is_kept(self):
        model, x = ZOO["subclassed"]()
        model.compile("sgd", kp.likelihoods.Normal(scale=2.0))
        new = kp.to_variational(model, num_data=len(x))
        assert isinstance(new.optimizer, keras.optimizers.SGD) and new.loss.scale == 2.0

    def test_compile_state_is_kept(self):
        model = self.model()
        model.compile("sgd", kp.likelihoods.Normal(scale=2.0))
        new = kp.to_variational(model)
        assert new.compiled
        assert isinstance(new.loss, kp.likelihoods.Normal)
        assert not kp.to_deterministic(new).compiled


class TestPrune:
    def model(self):
        return kp.to_variational(scatter(ZOO["mlp"]()[0]), seed=0)

    def test_fraction_is_that_of_all_weights(self):
        model = self.model()
        plain, report = kp.prune(model, fraction=0.6)
        zeros = sum(int(np.sum(to_numpy(w) == 0)) for w in plain.get_weights())
        size = sum(row["size"] for row in report)
        assert size == plain.count_params()
        assert zeros == round(0.6 * size) == size - sum(row["left"] for row in report)

    def test_the_lowest_ratios_go_first(self):
        model = self.model()
        layer = model.layers[0]
        ratio = np.abs(to_numpy(layer.kernel))
        ratio = ratio / to_numpy(keras.ops.stop_gradient(layer.kernel_posterior.stddev()))
        cut = float(np.median(ratio))
        kernel = kp.prune(model, snr=cut)[0].get_weights()[0]
        assert np.array_equal(kernel != 0, ratio >= cut)

    @pytest.mark.parametrize(
        "arguments", [{}, {"fraction": 0.5, "snr": 1.0}, {"fraction": 1.5}, {"snr": -1.0}]
    )
    def test_bad_arguments(self, arguments):
        with pytest.raises(ValueError, match=r"fraction|snr"):
            kp.prune(self.model(), **arguments)

    def test_a_model_without_posteriors(self):
        with pytest.raises(ValueError, match="to_variational"):
            kp.prune(ZOO["mlp"]()[0], fraction=0.5)


@pytest.mark.slow
def test_a_plain_file_loads_without_keras_priors(tmp_path):
    model, x = ZOO["conv_net"]()
    plain = kp.to_deterministic(kp.to_variational(scatter(model), seed=0))
    plain.save(tmp_path / "plain.keras")
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", outputs(plain, x)[0])
    code = (
        "import sys; sys.modules['keras_priors'] = None\n"
        "import keras, numpy as np\n"
        f"m = keras.models.load_model(r'{tmp_path / 'plain.keras'}')\n"
        f"y = m.predict(np.load(r'{tmp_path / 'x.npy'}'), verbose=0)\n"
        f"assert np.abs(y - np.load(r'{tmp_path / 'y.npy'}')).max() < 1e-5\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
