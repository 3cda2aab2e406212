"""At a temperature T the loss holds -E[log p(w)] - T H(q), and says so wherever it is read."""

import keras
import numpy as np
import pytest
from scipy import stats

import keras_priors as kp
from tests.layers.test_kl_in_loss import N, X, nested, penalty_of, sequential, shared
from tests.posteriors._calculus import as_numpy

MODELS = {"sequential": sequential, "shared": shared, "nested": nested}


@keras.saving.register_keras_serializable("test_temperature")
class OfCode(keras.Model):
    """Its layers are made by its `__init__`, and in no config."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.head = kp.VariationalDense(2)

    def call(self, x, training=None):
        return self.head(x, training=training)


def tempered(posterior, prior, temperature):
    """By SciPy, of independent normals under an independent normal prior."""
    mean, scale = (as_numpy(v).astype("float64") for v in (posterior.mean(), posterior.stddev()))
    log_prior = stats.norm(0, prior.scale).logpdf(mean) - 0.5 * (scale / prior.scale) ** 2
    return -np.sum(log_prior) - temperature * np.sum(stats.norm(mean, scale).entropy())


def of_layer(layer, temperature):
    return tempered(layer.kernel_posterior, layer.kernel_prior, temperature) + tempered(
        layer.bias_posterior, layer.bias_prior, temperature
    )


@pytest.mark.parametrize("name", MODELS)
def test_the_loss_holds_the_entropy_times_the_temperature(name):
    model, layers = MODELS[name]()
    kp.set_num_data(model, N, temperature=0.25)
    expected = sum(of_layer(layer, 0.25) for layer in layers) / N
    assert expected != pytest.approx(sum(of_layer(layer, 1.0) for layer in layers) / N, rel=0.05)
    assert penalty_of(model) == pytest.approx(expected, rel=1e-5)


def test_a_fit_in_progress_takes_it():
    # The step is compiled with the temperature in it, and is made anew.
    model, layers = sequential()
    first = penalty_of(model)
    kp.set_num_data(model, N, temperature=2.0)
    loss = model.fit(X, np.zeros((8, 2), "float32"), verbose=0).history["loss"][0]
    assert loss == pytest.approx(sum(of_layer(layer, 2.0) for layer in layers) / N, rel=1e-5)
    assert loss > first  # so narrow a q has an entropy below 0


@pytest.mark.parametrize("family", ["low_rank", "full", "matrix_normal"])
def test_of_families_with_correlations(family):
    layer = kp.VariationalDense(
        2, kernel_posterior=family, use_bias=False, num_data=N, temperature=0.5
    )
    model = keras.Sequential([keras.Input((3,)), layer])
    q = layer.kernel_posterior
    mean, variance = (as_numpy(v).astype("float64") for v in (q.mean(), q.variance()))
    log_prior = stats.norm(0, 1).logpdf(mean) - 0.5 * variance
    entropy = float(as_numpy(q.entropy()))
    expected = (-np.sum(log_prior) - 0.5 * entropy) / N
    assert penalty_of(model) == pytest.approx(expected, rel=1e-5)


def test_of_the_posterior_of_a_learned_scale():
    prior = kp.NormalPrior(0, scale=kp.LogNormalPrior(0.0, 1.0))  # whose KL is exact
    layer = kp.VariationalDense(2, kernel_prior=prior, use_bias=False, num_data=N)
    model = keras.Sequential([keras.Input((3,)), layer])
    cold, scale = 0.5, layer.prior_scales["kernel"]
    entropies = float(as_numpy(layer.kernel_posterior.entropy())) + float(as_numpy(scale.entropy()))
    bayes = penalty_of(model)
    kp.set_num_data(model, N, temperature=cold)
    assert penalty_of(model) == pytest.approx(bayes + (1 - cold) * entropies / N, rel=1e-5)


def test_of_a_wrapped_layer():
    layer = kp.layers.Variational(
        keras.layers.Dense(2, use_bias=False), num_data=N, temperature=0.5
    )
    model = keras.Sequential([keras.Input((3,)), layer])
    (q,) = layer.posteriors.values()
    expected = tempered(q, kp.NormalPrior(0, 1), 0.5) / N
    assert penalty_of(model) == pytest.approx(expected, rel=1e-5)


def test_a_point_has_no_part_in_it():
    def penalty(temperature):
        keras.utils.set_random_seed(0)
        layer = kp.VariationalDense(
            2, kernel_posterior="delta", use_bias=False, num_data=N, temperature=temperature
        )
        return penalty_of(keras.Sequential([keras.Input((3,)), layer]))

    assert penalty(0.1) == pytest.approx(penalty(1.0), rel=1e-6)


def test_without_a_number_each_layer_keeps_its_own():
    model, layers = sequential()
    layers[0].temperature = 0.5
    kp.set_num_data(model, 50)
    assert [layer.temperature for layer in layers] == [0.5, 1.0]
    kp.set_num_data(model, 50, temperature=1.0)
    assert [layer.temperature for layer in layers] == [1.0, 1.0]


@pytest.mark.parametrize("value", [0.0, -1.0, np.inf, [1.0, 2.0]])
def test_it_is_one_positive_number(value):
    model, layers = sequential()
    with pytest.raises(ValueError, match=r"temperature.*Received"):
        kp.set_num_data(model, 50, temperature=value)
    assert [(layer.num_data, layer.temperature) for layer in layers] == [(N, 1.0), (N, 1.0)]


def test_points_alone_refuse_it():
    dense = keras.layers.Dense(1, kernel_regularizer=kp.NormalPrior(0, 1))
    model = keras.Sequential([keras.Input((3,)), dense])
    with pytest.raises(ValueError, match="no variational layer"):
        kp.set_num_data(model, 50, temperature=0.1)
    assert kp.set_num_data(model, 50, temperature=1.0) == 50


def test_it_is_saved(tmp_path):
    model, _ = sequential()
    kp.set_num_data(model, N, temperature=0.125)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert [layer.temperature for layer in loaded.layers] == [0.125, 0.125]
    model.save_weights(tmp_path / "w.weights.h5")
    fresh, layers = sequential()
    fresh.load_weights(tmp_path / "w.weights.h5")
    assert [layer.temperature for layer in layers] == [1.0, 1.0]


def test_it_is_saved_beside_the_weights_of_a_subclassed_model(tmp_path):
    model = OfCode()
    model(X)
    kp.set_num_data(model, N, temperature=0.125)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert (loaded.head.temperature, loaded.head.num_data) == (0.125, N)


def test_the_monitor_and_the_summary_say_it(capsys):
    model, layers = sequential()
    kp.set_num_data(model, 8, temperature=0.25)
    model.compile(keras.optimizers.SGD(0.0), kp.likelihoods.Normal(1.0))
    logs = model.fit(
        X,
        np.zeros((8, 2), "float32"),
        callbacks=[kp.callbacks.BayesianMonitor()],
        verbose=0,
    ).history
    assert logs["temperature"] == [0.25]
    kl = sum(of_layer(layer, 0.25) for layer in layers) / 8
    np.testing.assert_allclose(logs["kl"], kl, rtol=1e-5)
    np.testing.assert_allclose(logs["loss"], np.add(logs["nll"], logs["kl"]), rtol=1e-5)
    capsys.readouterr()
    rows = kp.summary(model)
    assert {row["temperature"] for row in rows} == {0.25}
    assert "at the temperature 0.25" in capsys.readouterr().out
    assert rows[0]["kl"] == pytest.approx(
        tempered(layers[0].kernel_posterior, layers[0].kernel_prior, 1.0), rel=1e-5
    )


def test_a_refusal_changes_nothing():
    model = keras.Sequential(
        [keras.Input((3,)), kp.VariationalDense(1), kp.layers.NoiseScale(name="noise")]
    )
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="NoiseScale"):
        kp.set_num_data(model, X, temperature=0.5)
    assert (model.layers[0].num_data, model.layers[0].temperature) == (None, 1.0)
