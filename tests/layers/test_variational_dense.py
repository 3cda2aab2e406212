"""The layer as a drop-in for `Dense`."""

import inspect

import keras
import numpy as np
import pytest

from keras_priors import posteriors, priors
from keras_priors.layers import VariationalDense
from keras_priors.priors import NormalPrior
from tests.layers._layers import PAIRS, dense, raw_of
from tests.posteriors._calculus import as_numpy
from tests.posteriors._families import FAMILIES

X = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
NOT_FOR_POSTERIORS = {"lora_rank", "lora_alpha", "quantization_config"}


def test_arguments_are_those_of_dense_in_their_order():
    def signature(cls):
        parameters = inspect.signature(cls.__init__).parameters.values()
        return [(p.name, p.default) for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]

    theirs = [p for p in signature(keras.layers.Dense) if p[0] not in NOT_FOR_POSTERIORS]
    assert signature(VariationalDense) == theirs


@pytest.mark.parametrize("name", sorted(NOT_FOR_POSTERIORS))
def test_what_makes_no_sense_is_refused(name):
    with pytest.raises((TypeError, ValueError), match=name):
        VariationalDense(2, **{name: 1})


def test_the_swap_is_the_name_alone():
    arguments = {
        "activation": "tanh",
        "use_bias": True,
        "kernel_initializer": "he_normal",
        "bias_initializer": "ones",
        "kernel_regularizer": NormalPrior(0, 1, num_data=10),
        "bias_regularizer": NormalPrior(0, 2, num_data=10),
        "activity_regularizer": "l2",
        "name": "h",
        "dtype": "float32",
    }
    plain, layer = keras.layers.Dense(2, **arguments), VariationalDense(2, **arguments)
    plain.build((None, 3))
    layer.build((None, 3))
    assert layer.kernel_prior is arguments["kernel_regularizer"]
    assert layer.bias_prior is arguments["bias_regularizer"]
    plain.kernel.assign(layer.kernel_posterior.mean())
    plain.bias.assign(layer.bias_posterior.mean())
    np.testing.assert_allclose(as_numpy(layer(X)), as_numpy(plain(X)), rtol=1e-5)
    assert layer.name == "h"


def test_positional_arguments():
    layer = VariationalDense(2, "relu", False, "zeros")
    assert layer.activation is keras.activations.relu
    assert not layer.use_bias
    assert isinstance(layer.kernel_initializer, keras.initializers.Zeros)


@pytest.mark.parametrize("weight", ["kernel", "bias"])
@pytest.mark.parametrize(
    "regularizer", [keras.regularizers.L2(0.1), "l2", keras.regularizers.L1(1)]
)
def test_another_regularizer_is_refused_with_the_way_out(weight, regularizer):
    with pytest.raises(ValueError, match=rf"{weight}_prior=keras_priors.NormalPrior.*LaplacePrior"):
        VariationalDense(2, **{f"{weight}_regularizer": regularizer})


def test_the_way_out_is_right():
    """L2(l2) and NormalPrior(0, (2 l2 num_data)^-0.5) have the same gradient."""
    l2, num_data = 0.03, 50
    prior = NormalPrior(0, (2 * l2 * num_data) ** -0.5, num_data=num_data)
    a, b = X, 2 * X
    plain = keras.regularizers.L2(l2)
    np.testing.assert_allclose(float(prior(a) - prior(b)), float(plain(a) - plain(b)), rtol=1e-4)
    l1 = 0.2
    prior = priors.LaplacePrior(0, 1 / (l1 * num_data), num_data=num_data)
    plain = keras.regularizers.L1(l1)
    np.testing.assert_allclose(float(prior(a) - prior(b)), float(plain(a) - plain(b)), rtol=1e-4)


@pytest.mark.parametrize("weight", ["kernel", "bias"])
def test_prior_and_regularizer_together_are_refused(weight):
    both = {f"{weight}_prior": NormalPrior(), f"{weight}_regularizer": NormalPrior()}
    with pytest.raises(ValueError, match=rf"one prior for its {weight}.*not both"):
        VariationalDense(2, **both)


@pytest.mark.parametrize("wrong", [3.0, "normal", keras.initializers.Zeros()])
def test_a_prior_must_be_a_prior(wrong):
    with pytest.raises(TypeError, match="`kernel_prior` of VariationalDense"):
        VariationalDense(2, kernel_prior=wrong)


@pytest.mark.parametrize("units, error", [(0, ValueError), (-1, ValueError), (2.5, TypeError)])
def test_units(units, error):
    with pytest.raises(error, match="`units` of VariationalDense"):
        VariationalDense(units)


@pytest.mark.parametrize("estimator, family", PAIRS)
def test_a_tiny_posterior_is_dense(estimator, family):
    description = FAMILIES[family]
    if family != "delta":
        description = type(description)(initial_scale=1e-6)
    layer = VariationalDense(
        2,
        kernel_posterior=description,
        bias_posterior=posteriors.MeanFieldNormal(1e-6),
        estimator=estimator,
        activation="tanh",
        bias_initializer="ones",
        num_data=1,
    )
    layer.build((None, 3))
    plain = keras.layers.Dense(2, activation="tanh")
    plain.build((None, 3))
    plain.kernel.assign(as_numpy(layer.kernel_posterior.mean()))
    plain.bias.assign(np.ones(2))
    np.testing.assert_allclose(as_numpy(layer(X)), as_numpy(plain(X)), rtol=1e-5, atol=1e-6)
    drawn = as_numpy(layer(X, training=True))
    np.testing.assert_allclose(drawn, as_numpy(plain(X)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("estimator, family", PAIRS)
def test_training_draws_and_inference_does_not(estimator, family):
    layer = dense(estimator, family)
    mean = X @ as_numpy(layer.kernel_posterior.mean()) + as_numpy(layer.bias_posterior.mean())
    np.testing.assert_allclose(as_numpy(layer(X, training=False)), mean, rtol=1e-4, atol=1e-5)
    assert np.array_equal(as_numpy(layer(X)), as_numpy(layer(X, training=False)))
    first, second = (as_numpy(layer(X, training=True)) for _ in range(2))
    assert not np.allclose(first, second)
    twin = dense(estimator, family)
    assert np.array_equal(first, as_numpy(twin(X, training=True)))


def test_two_calls_of_one_functional_layer_draw_twice():
    layer = VariationalDense(2, num_data=1, seed=0)
    a, b = keras.Input((3,)), keras.Input((3,))
    model = keras.Model([a, b], [layer(a), layer(b)])
    first, second = model([X, X], training=True)
    assert not np.allclose(as_numpy(first), as_numpy(second))
    first, second = model([X, X], training=False)
    assert np.array_equal(as_numpy(first), as_numpy(second))


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("dtype", ["int32", "uint8", "bool"])
def test_integer_inputs_are_taken_as_numbers(training, dtype):
    x = np.array([[0, 1, 1], [1, 1, 0]], dtype)
    layer, twin = (dense("reparameterization", "mean_field") for _ in range(2))
    given = as_numpy(layer(x, training=training))
    wanted = as_numpy(twin(x.astype("float32"), training=training))
    np.testing.assert_allclose(given, wanted, rtol=1e-5)


@pytest.mark.parametrize("bias", ["mean_field", "delta"])
def test_the_bias_may_be_a_point(bias):
    layer = VariationalDense(2, bias_posterior=bias, bias_prior=NormalPrior(0, 3.0), num_data=7)
    layer.build((None, 3))
    layer.bias_posterior.loc.assign([1.0, 2.0])
    penalties = {
        v.path.rsplit("/")[-1]: float(as_numpy(v.regularizer(v)))
        for v in layer.trainable_variables
        if v.regularizer is not None
    }
    assert set(penalties) == {"kernel_loc", "bias_loc"}
    if bias == "delta":
        expected = (0.5 * (1 + 4) / 9 + 2 * np.log(3) + np.log(2 * np.pi)) / 7
        np.testing.assert_allclose(penalties["bias_loc"], expected, rtol=1e-5)
    assert len(layer.trainable_variables) == (4 if bias == "mean_field" else 3)


def test_without_bias():
    layer = VariationalDense(2, use_bias=False, num_data=1)
    layer.build((None, 3))
    assert [v.name for v in layer.trainable_variables] == ["kernel_loc", "kernel_rho"]
    np.testing.assert_allclose(
        as_numpy(layer(X)), X @ raw_of(layer.kernel_posterior)["loc"], rtol=1e-4
    )
    layer(X, training=True)


def test_an_instance_of_a_posterior_serves_many_weights():
    family = posteriors.MeanFieldNormal(0.01)
    layers = [
        VariationalDense(2, kernel_posterior=family, bias_posterior=family, num_data=1)
        for _ in range(2)
    ]
    for layer in layers:
        layer.build((None, 3))
    built = [p for layer in layers for p in (layer.kernel_posterior, layer.bias_posterior)]
    assert len({id(p) for p in [family, *built]}) == 5
    assert "loc" not in vars(family)


def test_constraints_are_for_points():
    with pytest.raises(ValueError, match=r'kernel_constraint.*kernel_posterior="delta"'):
        VariationalDense(2, kernel_constraint="non_neg").build((None, 3))
    layer = VariationalDense(
        2, kernel_posterior="delta", kernel_constraint="non_neg", num_data=10, seed=0
    )
    model = keras.Sequential([keras.Input((3,)), layer])
    model.compile(keras.optimizers.SGD(0.5), "mse")
    model.fit(X, -np.abs(X[:, :2]), epochs=2, verbose=0)
    assert (as_numpy(layer.kernel_posterior.mean()) >= 0).all()


@pytest.mark.parametrize("initializer", ["zeros", "glorot_uniform"])
def test_a_point_under_a_positive_prior_starts_and_stays_in_its_support(initializer):
    layer = VariationalDense(
        2,
        use_bias=False,
        kernel_posterior="delta",
        kernel_prior=priors.LogNormalPrior(),
        kernel_initializer=initializer,
        num_data=10,
        seed=0,
    )
    model = keras.Sequential([keras.Input((3,)), layer])
    model.compile(keras.optimizers.Adam(0.01), "mse")
    assert (as_numpy(layer.kernel_posterior.mean()) > 0).all()
    history = model.fit(X, -np.abs(X[:, :2]), epochs=2, verbose=0)
    assert (as_numpy(layer.kernel_posterior.mean()) > 0).all()
    assert np.isfinite(history.history["loss"]).all()


def test_a_prior_outside_of_the_family_is_refused_when_built():
    layer = VariationalDense(2, kernel_prior=priors.LogNormalPrior())
    with pytest.raises(ValueError, match=r"LogNormal .* or Delta"):
        layer.build((None, 3))


def test_a_prior_that_does_not_fit_the_weight_is_refused_when_built():
    layer = VariationalDense(2, kernel_prior=NormalPrior(0.0, np.ones(5)))
    with pytest.raises(ValueError, match="`scale` of NormalPrior must broadcast"):
        layer.build((None, 3))


def test_unknown_last_axis_and_wrong_inputs():
    with pytest.raises(ValueError, match="last axis"):
        VariationalDense(2).build((4, None))
    layer = dense("reparameterization", "mean_field")
    with pytest.raises(ValueError, match="expected axis -1"):
        layer(np.ones((2, 4), "float32"))
    with pytest.raises(ValueError, match="min_ndim=2"):
        VariationalDense(2)(np.ones((3,), "float32"))


@pytest.mark.parametrize("shape", [(None, 3), (4, 3), (None, None, 3), (2, 7, 3)], ids=str)
def test_symbolic_shapes(shape):
    layer = VariationalDense(2, activation="softmax", num_data=1)
    out = layer(keras.Input(batch_shape=shape), training=True)
    assert tuple(out.shape) == (*shape[:-1], 2)
    assert layer.compute_output_shape(shape) == (*shape[:-1], 2)


def test_a_mask_passes_through():
    model = keras.Sequential(
        [keras.Input((4, 3)), keras.layers.Masking(), VariationalDense(2, num_data=1)]
    )
    assert model.layers[-1].supports_masking
    assert model(np.ones((2, 4, 3), "float32")).shape == (2, 4, 2)


def test_variables_for_people():
    layer = dense("reparameterization", "full")
    assert as_numpy(layer.kernel_posterior.mean()).shape == (3, 2)
    assert as_numpy(layer.kernel_posterior.stddev()).shape == (3, 2)
    assert as_numpy(layer.bias_posterior.sample(0)).shape == (2,)
