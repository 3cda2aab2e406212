"""Priors whose scale is learned with the weights: empirical Bayes and hierarchical models."""

import math

import keras
import numpy as np
import pytest
from keras import ops

import keras_priors as kp
from keras_priors import posteriors
from tests._gradients import value_and_gradient
from tests.posteriors._calculus import as_numpy

FAMILIES = {
    "mean_field": posteriors.MeanFieldNormal(0.4),
    "low_rank": posteriors.LowRankNormal(1, initial_scale=0.4),
    "full": posteriors.FullNormal(0.4),
    "matrix_normal": posteriors.MatrixNormal(0.4),
}
SHAPES = {"tensor": (), "input": (3, 1), "unit": (1, 2)}
HYPER = kp.HalfCauchyPrior(0.7)


def layer_with(scale, family="mean_field", **kwargs):
    layer = kp.VariationalDense(
        2,
        use_bias=False,
        kernel_prior=kp.NormalPrior(0.1, scale=scale),
        kernel_posterior=FAMILIES[family],
        seed=0,
        **kwargs,
    )
    layer.build((None, 3))
    rng = np.random.default_rng(0)
    for variable in layer.trainable_variables:
        variable.assign(as_numpy(variable) + 0.3 * rng.normal(size=variable.shape))
    return layer


def moments(layer):
    q = layer.kernel_posterior
    return as_numpy(q.mean()).astype("float64"), as_numpy(q.variance()).astype("float64")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("per", SHAPES)
class TestEmpiricalBayes:
    def test_kl_is_that_of_the_prior_with_this_scale(self, per, family):
        layer = layer_with(kp.Learnable(0.8, per=per), family)
        scale = as_numpy(layer.prior_scales["kernel"].mean())
        assert scale.shape == SHAPES[per]
        assert np.ptp(scale) > 0 or per == "tensor"
        expected = layer.kernel_posterior.kl(kp.NormalPrior(0.1, scale))
        np.testing.assert_allclose(as_numpy(layer.kl()), as_numpy(expected), rtol=1e-5)

    def test_least_kl_at_the_second_moment(self, per, family):
        # The best scale for a posterior q is the root of the mean of E[(w - loc)^2] over what
        # shares it: there, and not beside it, the gradient is zero.
        layer = layer_with(kp.Learnable(0.8, per=per), family)
        mean, variance = moments(layer)
        axes = tuple(k for k in range(2) if per == "tensor" or SHAPES[per][k] == 1)
        best = np.log(np.mean((mean - 0.1) ** 2 + variance, axis=axes, keepdims=True)) / 2
        best = best.reshape(SHAPES[per]).astype("float32")
        log_scale = layer.prior_scales["kernel"].log_scale

        def kl(value):
            with keras.StatelessScope(state_mapping=[(log_scale, value)]):
                return layer.kl()

        _, gradient = value_and_gradient(kl, best)
        np.testing.assert_allclose(gradient, 0.0, atol=1e-4)
        _, gradient = value_and_gradient(kl, best + 0.1)
        assert np.all(gradient > 0.1)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("per", SHAPES)
def test_hierarchical_kl(per, family):
    """Against quadrature over log(scale); the part of the scale itself is an average of draws."""
    draws = 200
    layer = layer_with(kp.Learnable(0.8, per=per, prior=HYPER), family, kl_samples=draws)
    q = layer.prior_scales["kernel"]
    assert tuple(q.shape) == SHAPES[per]
    mean, variance = moments(layer)
    m, s = as_numpy(q.loc).astype("float64"), as_numpy(ops.softplus(q.rho)).astype("float64")
    entropy = float(as_numpy(layer.kernel_posterior.entropy()))
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    weights = weights / weights.sum()
    of_weights, of_scale = -entropy, 0.0
    for z, p in zip(nodes, weights, strict=True):
        scale = np.exp(m + s * z)
        log_density = -0.5 * ((mean - 0.1) ** 2 + variance) / scale**2 - np.log(scale)
        of_weights -= p * np.sum(log_density - 0.5 * math.log(2 * math.pi))
        log_q = -0.5 * z**2 - np.log(s) - 0.5 * math.log(2 * math.pi) - (m + s * z)
        log_p = math.log(2 / math.pi / 0.7) - np.log1p((scale / 0.7) ** 2)
        of_scale += p * np.sum(log_q - log_p)
    (penalty,) = layer._kl_penalties
    np.testing.assert_allclose(as_numpy(penalty.kl()), of_weights, rtol=1e-4)
    if (per, family) != ("unit", "mean_field"):
        return  # the same sum for all
    # log p(scale) moves by less than 1.5 for each unit of log(scale), whose spread is s.
    tolerance = 4 * 1.5 * np.sqrt(np.sum(np.square(s)) / draws)
    total = float(as_numpy(layer.kl()))
    np.testing.assert_allclose(total, of_weights + of_scale, atol=tolerance)


def fitted(scale, x, y, noise, epochs=200, **kwargs):
    layer = kp.VariationalDense(
        1,
        use_bias=False,
        kernel_prior=kp.NormalPrior(0, scale=scale),
        num_data=len(x),
        seed=0,
        **kwargs,
    )
    model = keras.Sequential([keras.Input(x.shape[1:]), layer])
    schedule = keras.optimizers.schedules.CosineDecay(0.1, epochs)
    model.compile(keras.optimizers.Adam(schedule), kp.likelihoods.Normal(noise))
    model.fit(x, y, batch_size=len(x), epochs=epochs, verbose=0)
    return model, layer


def regression(seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(80, 5))
    y = x @ np.array([2.0, -1.5, 0.0, 0.0, 0.0]) + 0.5 * rng.normal(size=80)
    return x.astype("float32"), y[:, None].astype("float32")


@pytest.mark.slow
def test_scale_is_where_the_evidence_is_greatest():
    """With the exact family of posteriors the bound is the evidence: MacKay's scale."""
    x, y = regression()
    grid = np.exp(np.linspace(-2, 3, 2001))
    values, vectors = np.linalg.eigh(x.astype("float64") @ x.T)
    projected = (vectors.T @ y[:, 0]) ** 2
    spectra = grid[:, None] ** 2 * np.maximum(values, 0.0) + 0.25
    evidence = -0.5 * np.sum(np.log(spectra) + projected / spectra, axis=1)
    best = grid[np.argmax(evidence)]
    _, layer = fitted(kp.Learnable(0.5), x, y, 0.5, 400, kernel_posterior="full")
    np.testing.assert_allclose(as_numpy(layer.prior_scales["kernel"].mean()), best, rtol=0.05)


def test_relevance_of_inputs_is_found():
    x, y = regression()
    _, layer = fitted(kp.Learnable(per="input"), x, y, 0.5)
    scales = as_numpy(layer.prior_scales["kernel"].mean())[:, 0]
    assert scales[:2].min() > 10 * scales[2:].max()
    np.testing.assert_allclose(scales[:2], [2.0, 1.5], rtol=0.1)
    kernel = as_numpy(layer.kernel_posterior.mean())[:, 0]
    assert np.abs(kernel[2:]).max() < 0.15


SCALES = {
    "learned": kp.Learnable(0.3, per="input"),
    "hierarchical": kp.HalfCauchyPrior(1.0),
    "both": kp.Learnable(0.3, per="unit", prior=kp.GammaPrior(2.0, 3.0)),
}


@pytest.mark.parametrize("name", SCALES)
class TestConfig:
    def test_round_trip(self, name):
        prior = kp.NormalPrior(0, scale=SCALES[name], num_data=7)
        config = keras.saving.serialize_keras_object(prior)
        again = keras.saving.deserialize_keras_object(config, safe_mode=True)
        assert again.get_config() == prior.get_config()
        assert again.scale.per == prior.scale.per
        assert repr(again) == repr(prior)

    def test_saved_and_loaded(self, name, tmp_path):
        x, y = regression()
        model, layer = fitted(SCALES[name], x, y, 0.5, epochs=3)
        model.save(tmp_path / "model.keras")
        loaded = keras.models.load_model(tmp_path / "model.keras")
        scale = loaded.layers[0].prior_scales["kernel"]
        np.testing.assert_array_equal(
            as_numpy(scale.mean()), as_numpy(layer.prior_scales["kernel"].mean())
        )
        assert np.all(as_numpy(scale.mean()) != 0.3)
        np.testing.assert_array_equal(model.predict(x, verbose=0), loaded.predict(x, verbose=0))

    def test_trained_by_fit_and_shared_prior_not_shared_scale(self, name):
        prior = kp.NormalPrior(0, scale=SCALES[name])
        layers = [kp.VariationalDense(3, kernel_prior=prior, seed=k) for k in range(2)]
        model = keras.Sequential([keras.Input((4,)), *layers])
        kp.set_num_data(model, 20)
        model.compile("adam", kp.likelihoods.Normal(1.0))
        before = [as_numpy(layer.prior_scales["kernel"].mean()).copy() for layer in layers]
        x = np.ones((20, 4), "float32")
        history = model.fit(
            x, x[:, :3], epochs=1, verbose=0, callbacks=[kp.callbacks.BayesianMonitor()]
        )
        after = [as_numpy(layer.prior_scales["kernel"].mean()) for layer in layers]
        for old, new in zip(before, after, strict=True):
            assert np.all(old != new)
        assert layers[0].prior_scales["kernel"] is not layers[1].prior_scales["kernel"]
        # The monitor sees the KL of scales too.
        assert history.history["kl"][-1] > 0

    def test_summary_shows_the_scale_and_its_kl(self, name):
        model = keras.Sequential(
            [
                keras.Input((4,)),
                kp.VariationalDense(3, kernel_prior=kp.NormalPrior(0, scale=SCALES[name])),
            ]
        )
        lines = []
        rows = kp.summary(model, print_fn=lines.append)
        assert len(rows) == 2
        assert "learned" in rows[0]["prior"]
        (layer,) = model.layers
        kl = np.mean([as_numpy(layer.kl()) for _ in range(40)])
        np.testing.assert_allclose(sum(row["kl"] for row in rows), kl, rtol=0.03)
        # Only the scale's own KL may need draws; the table marks them.
        assert rows[0]["kl_is_exact"] == (name == "learned")
        assert any("~" in line for line in lines) == (name != "learned")


def test_all_prior_objects_are_found():
    hyper = kp.HalfCauchyPrior(1.0)
    layer = kp.VariationalDense(3, kernel_prior=kp.NormalPrior(0, scale=hyper))
    model = keras.Sequential([keras.Input((4,)), layer])
    kp.set_num_data(model, 50)
    assert hyper.num_data == 50
    assert [penalty.of_scale.num_data for penalty in layer._kl_penalties[:1]] == [50]


def test_within_the_wrapper_and_after_conversion():
    prior = kp.NormalPrior(0, scale=kp.Learnable(0.5, per="unit"))
    plain = keras.Sequential([keras.Input((5, 3)), keras.layers.GRU(4), keras.layers.Dense(2)])
    model = kp.to_variational(plain, prior=prior, num_data=10, seed=0)
    gru, dense = model.layers
    shapes = {name: tuple(s.mean().shape) for name, s in gru.prior_scales.items()}
    assert shapes == {
        "gru_cell/kernel": (1, 12),
        "gru_cell/recurrent_kernel": (1, 12),
        "gru_cell/bias": (1, 12),
    }
    assert shapes.keys() == gru.posteriors.keys()
    assert tuple(dense.prior_scales["bias"].mean().shape) == (2,)
    x = np.ones((2, 5, 3), "float32")
    model.compile("adam", "mse")
    model.fit(x, np.zeros((2, 2), "float32"), verbose=0)
    assert np.all(as_numpy(gru.prior_scales["gru_cell/kernel"].mean()) != 0.5)
    back = kp.to_deterministic(model)
    assert [type(layer).__name__ for layer in back.layers] == ["GRU", "Dense"]
    np.testing.assert_allclose(back.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-6)


class TestRefusals:
    def test_point_estimate(self):
        layer = kp.VariationalDense(
            1, kernel_prior=kp.NormalPrior(0, kp.Learnable()), kernel_posterior="delta"
        )
        with pytest.raises(ValueError, match="density grows without bound"):
            layer.build((None, 2))

    def test_density_of_the_prior_alone(self):
        prior = kp.NormalPrior(0, scale=kp.Learnable(), num_data=1)
        w = ops.ones((2, 2))
        for function in (prior, prior.log_prob, lambda w: prior.sample(w.shape, seed=0)):
            with pytest.raises(ValueError, match="no density by itself"):
                function(w)

    def test_plain_layer_at_its_first_penalty(self):
        prior = kp.NormalPrior(0, scale=kp.Learnable(), num_data=1)
        model = keras.Sequential(
            [keras.Input((2,)), keras.layers.Dense(1, kernel_regularizer=prior)]
        )
        with pytest.raises(ValueError, match="VariationalDense"):
            model.losses  # noqa: B018

    def test_set_priors(self):
        model = keras.Sequential([keras.Input((2,)), kp.VariationalDense(1)])
        with pytest.raises(ValueError, match="to_variational"):
            kp.set_priors(model, kp.NormalPrior(0, scale=kp.Learnable()))

    def test_another_prior_in_its_place(self):
        layer = kp.VariationalDense(1, kernel_prior=kp.NormalPrior(0, scale=kp.Learnable()))
        model = keras.Sequential([keras.Input((2,)), layer])
        with pytest.raises(ValueError, match="cannot lose"):
            kp.set_priors(model, {"kernel": kp.LaplacePrior()})
        assert list(layer.prior_scales) == ["kernel"]
        kp.set_priors(model, {"bias": kp.LaplacePrior()})

    @pytest.mark.parametrize(
        ("arguments", "error", "message"),
        [
            ({"initial": 0.0}, ValueError, "greater than 0"),
            ({"initial": "one"}, TypeError, "must be a number"),
            ({"initial": [1.0, 2.0]}, ValueError, "one number"),
            ({"per": "row"}, ValueError, "'row'"),
            ({"prior": 1.0}, TypeError, "HalfCauchyPrior"),
            ({"prior": kp.NormalPrior()}, ValueError, "positive half-line"),
            ({"prior": kp.UniformPrior(0, 1)}, ValueError, "positive half-line"),
        ],
    )
    def test_arguments(self, arguments, error, message):
        with pytest.raises(error, match=message):
            kp.Learnable(**arguments)


# Twin, arguments, input; and of its weight: shape, fan-in, axes kept for inputs and for units.
AXES = [
    ("Dense", {"units": 5}, (3,), "kernel", (3, 5), 3, (3, 1), (1, 5)),
    ("Dense", {"units": 5}, (3,), "bias", (5,), 1, (1,), (5,)),
    (
        "Conv2D",
        {"filters": 5, "kernel_size": (2, 3)},
        (7, 7, 4),
        "kernel",
        (2, 3, 4, 5),
        24,
        (1, 1, 4, 1),
        (1, 1, 1, 5),
    ),
    (
        "Conv1DTranspose",
        {"filters": 5, "kernel_size": 2},
        (7, 4),
        "kernel",
        (2, 5, 4),
        8,
        (1, 1, 4),
        (1, 5, 1),
    ),
    (
        "DepthwiseConv1D",
        {"kernel_size": 2, "depth_multiplier": 3},
        (7, 4),
        "kernel",
        (2, 4, 3),
        2,
        (1, 4, 1),
        (1, 4, 3),
    ),
    (
        "SeparableConv1D",
        {"filters": 5, "kernel_size": 2},
        (7, 4),
        "depthwise_kernel",
        (2, 4, 1),
        2,
        (1, 4, 1),
        (1, 4, 1),
    ),
    (
        "SeparableConv1D",
        {"filters": 5, "kernel_size": 2},
        (7, 4),
        "pointwise_kernel",
        (1, 4, 5),
        4,
        (1, 4, 1),
        (1, 1, 5),
    ),
    (
        "EinsumDense",
        {"equation": "abc,dec->abde", "output_shape": (None, 2, 3)},
        (6, 4),
        "kernel",
        (2, 3, 4),
        4,
        (1, 1, 4),
        (2, 3, 1),
    ),
    (
        "EinsumDense",
        {"equation": "abc,bcd->abd", "output_shape": (6, 3), "bias_axes": "bd"},
        (6, 4),
        "bias",
        (6, 3),
        1,
        (1, 1),
        (6, 3),
    ),
    ("Embedding", {"input_dim": 9, "output_dim": 4}, (2,), "embeddings", (9, 4), 9, (9, 1), (1, 4)),
]


@pytest.mark.parametrize("case", AXES, ids=lambda case: f"{case[0]}-{case[3]}")
def test_axes_of_inputs_and_units(case):
    twin, arguments, input_shape, weight, shape, fan_in, inputs, units = case
    twin = getattr(kp, f"Variational{twin}")
    argument = twin.weight_arguments[weight]
    for per, expected in (("tensor", ()), ("input", inputs), ("unit", units)):
        prior = kp.NormalPrior(0, scale=kp.Learnable(per=per))
        layer = twin(**arguments, **{f"{argument}_prior": prior})
        layer.build((None, *input_shape))
        posterior = layer.posteriors[weight]
        assert tuple(posterior.shape) == shape
        assert tuple(layer.prior_scales[weight].mean().shape) == expected
        np.testing.assert_allclose(as_numpy(posterior.stddev()), 0.1 / math.sqrt(fan_in), rtol=1e-5)
        assert np.isfinite(as_numpy(layer.kl()))
