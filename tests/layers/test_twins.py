"""Every twin is its Keras layer with weights that are distributions."""

import inspect
import json

import keras
import numpy as np
import pytest
from keras import ops

from keras_priors import layers, posteriors, priors
from keras_priors.layers.weight_draws import WeightDraws
from keras_priors.priors import NormalPrior
from tests.layers._twins import (
    CASES,
    EACH,
    ESTIMATORS,
    PAIRS,
    QUICK,
    arguments_of,
    data,
    equal_weights,
    families_of,
    give_weights,
    has_activation,
    keras_class,
    plain,
    scattered,
    skip_unless_it_runs,
    twin,
    twin_class,
)
from tests.posteriors._calculus import as_numpy, value_and_gradient

UNSUPPORTED = ("lora_rank", "lora_alpha", "gptq_unpacked_column_size", "quantization_config")
TWINS = sorted({twin_class(case) for case in CASES}, key=lambda cls: cls.__name__)


def test_there_is_a_twin_for_each_layer_that_the_table_names():
    others = ("Cutpoints", "NoiseScale", "Variational", "VariationalLayer")
    assert {cls.__name__ for cls in TWINS} == set(layers.__all__) - set(others)


@pytest.mark.parametrize("case", EACH)
def test_the_mean_computes_what_keras_computes(case):
    skip_unless_it_runs(case)
    activation = {"activation": "tanh"} if has_activation(case) else {}
    layer = scattered(twin(case, **activation))
    expected = as_numpy(equal_weights(case, layer, **activation)(data(case)))
    np.testing.assert_allclose(as_numpy(layer(data(case))), expected, rtol=1e-5, atol=1e-6)
    drawn = as_numpy(layer(data(case), training=True))
    assert np.abs(drawn - expected).max() > 1e-3


@pytest.mark.parametrize("case, estimator", PAIRS)
def test_a_tiny_posterior_is_the_keras_layer(case, estimator):
    skip_unless_it_runs(case)
    tiny = families_of(case, posteriors.MeanFieldNormal(1e-7))
    layer = twin(case, estimator=estimator, **tiny)
    expected = as_numpy(equal_weights(case, layer)(data(case)))
    drawn = as_numpy(layer(data(case), training=True))
    np.testing.assert_allclose(drawn, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("case, estimator", PAIRS)
def test_a_point_is_the_keras_layer(case, estimator):
    skip_unless_it_runs(case)
    layer = scattered(twin(case, estimator=estimator, **families_of(case, "delta")))
    expected = as_numpy(equal_weights(case, layer)(data(case)))
    drawn = as_numpy(layer(data(case), training=True))
    np.testing.assert_allclose(drawn, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("case, estimator", PAIRS)
def test_examples_differ_as_the_estimator_says(case, estimator):
    skip_unless_it_runs(case)
    layer = scattered(twin(case, estimator=estimator))
    x = np.repeat(data(case, batch=1), 16, axis=0)
    drawn = as_numpy(layer(x, training=True))
    same = np.allclose(drawn, drawn[:1], rtol=1e-4, atol=1e-5)
    assert same == (estimator == "reparameterization")
    assert not np.allclose(drawn, as_numpy(layer(x, training=True)))
    # A batch of one is no special case.
    assert as_numpy(layer(x[:1], training=True)).shape == (1, *drawn.shape[1:])


@pytest.mark.parametrize("case", EACH)
def test_a_scope_of_draws_is_the_keras_layer_at_that_draw(case):
    skip_unless_it_runs(case)
    layer = scattered(twin(case))
    with WeightDraws(np.array([1, 2], "uint32")) as scope:
        drawn = as_numpy(layer(data(case)))
        weights = {name: as_numpy(scope.draw(q)) for name, q in layer.posteriors.items()}
    expected = as_numpy(give_weights(plain(case), weights)(data(case)))
    np.testing.assert_allclose(drawn, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("case", EACH)
def test_the_kl_counts_once_when_the_layer_is_shared(case):
    skip_unless_it_runs(case)
    layer = twin(case, build=False)
    shape, dtype = CASES[case][2], data(case).dtype.name
    inputs = [keras.Input(shape, dtype=dtype) for _ in range(2)]
    model = keras.Model(inputs, [layer(x) for x in inputs])
    scattered(layer)
    model([data(case), data(case)], training=True)
    expected = sum(
        as_numpy(q.kl(getattr(layer, f"{layer.weight_arguments[name]}_prior"))) / 10
        for name, q in layer.posteriors.items()
    )
    assert len(model.losses) == len(layer.posteriors)
    np.testing.assert_allclose(sum(as_numpy(v) for v in model.losses), expected, rtol=1e-5)
    np.testing.assert_allclose(as_numpy(layer.kl()) / 10, expected, rtol=1e-5)


@pytest.mark.parametrize("built", [False, True])
@pytest.mark.parametrize("case", EACH)
def test_config_survives_json(case, built):
    names = arguments_of(case)
    given = {
        **{f"{name}_regularizer": NormalPrior(0.1, k + 1.0) for k, name in enumerate(names)},
        f"{names[0]}_posterior": posteriors.LowRankNormal(2, initial_scale=0.3),
        f"{names[0]}_initializer": "ones",
        "estimator": "local_reparameterization",
        "kl_samples": 3,
        "name": "here",
        "dtype": "mixed_bfloat16",
    }
    layer = twin(case, build=built, **given)
    config = layer.get_config()
    other = twin_class(case).from_config(json.loads(json.dumps(config)))
    assert json.dumps(other.get_config(), sort_keys=True) == json.dumps(config, sort_keys=True)
    assert not other.built
    for k, name in enumerate(names):
        assert float(getattr(other, f"{name}_prior").scale) == k + 1.0
    assert getattr(other, f"{names[0]}_posterior").rank == 2
    assert (other.kl_samples, other.num_data, other.name) == (3, 10, "here")
    assert other.estimator == "local_reparameterization"
    # What Keras has in its config, ours has, but for what changes weights and for regularizers.
    theirs = set(plain(case).get_config()) - set(UNSUPPORTED)
    theirs -= {f"{name}_regularizer" for name in names}
    assert theirs <= set(config)


@pytest.mark.parametrize("case", EACH)
def test_file(case, tmp_path):
    skip_unless_it_runs(case)
    layer = twin(case, build=False, estimator="flipout")
    inputs = keras.Input(CASES[case][2], dtype=data(case).dtype.name)
    model = keras.Model(inputs, layer(inputs))
    scattered(layer)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    other = loaded.layers[-1]
    assert type(other) is type(layer)
    assert other.get_config() == layer.get_config()
    assert [v.path for v in model.weights] == [v.path for v in loaded.weights]
    for a, b in zip(model.weights, loaded.weights, strict=True):
        assert np.array_equal(as_numpy(a), as_numpy(b)), a.path
    assert np.array_equal(as_numpy(model(data(case))), as_numpy(loaded(data(case))))


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("case, estimator", PAIRS)
def test_half_precision(case, estimator, policy):
    skip_unless_it_runs(case)
    layer = scattered(twin(case, estimator=estimator, dtype=policy))
    assert {v.dtype for v in layer.trainable_variables} == {"float32"}
    expected = as_numpy(equal_weights(case, layer)(data(case)))
    for training in (False, True):
        y = layer(data(case), training=training)
        assert keras.backend.standardize_dtype(y.dtype) == policy.removeprefix("mixed_")
        assert np.isfinite(as_numpy(y)).all()
    y = as_numpy(layer(data(case)))
    np.testing.assert_allclose(y, expected, rtol=0.05, atol=0.05)


@pytest.mark.parametrize("case", EACH)
def test_symbolic_shapes_are_those_of_keras(case):
    batches = (None, 1, 3)
    for batch in batches:
        shape = (batch, *CASES[case][2])
        inputs = keras.KerasTensor(shape, dtype=data(case).dtype.name)
        layer = twin(case, build=False)
        assert layer(inputs).shape == keras_class(case)(**CASES[case][1])(inputs).shape
        assert layer(inputs, training=True).dtype == "float32"


@pytest.mark.parametrize("cls", TWINS, ids=lambda cls: cls.__name__)
def test_arguments_are_those_of_keras_in_their_order(cls):
    original = next(c for c in cls.__mro__ if c.__module__.startswith("keras.src"))

    def given(of):
        found = inspect.signature(of).parameters.values()
        return [(p.name, p.default) for p in found if p.kind is p.POSITIONAL_OR_KEYWORD]

    assert given(cls) == [pair for pair in given(original) if pair[0] not in UNSUPPORTED]
    keywords = [
        p.name for p in inspect.signature(cls).parameters.values() if p.kind is p.KEYWORD_ONLY
    ]
    names = list(cls.weight_arguments.values())
    assert keywords[: 2 * len(names)] == [f"{n}_{p}" for p in ("prior", "posterior") for n in names]
    assert keywords[2 * len(names) :] == [
        "estimator",
        "num_data",
        "temperature",
        "kl_samples",
        "seed",
    ]


def test_a_subclass_keeps_its_own_constructor():
    class Small(layers.VariationalConv2D):
        def __init__(self, size, **kwargs):
            super().__init__(2, size, **kwargs)

    assert list(inspect.signature(Small).parameters) == ["size", "kwargs"]
    assert Small(3).kernel_size == (3, 3)
    assert layers.VariationalConv2D(2, 3, 1, "same").padding == "same"
    with pytest.raises(
        TypeError, match="VariationalConv2D: missing a required argument: 'filters'"
    ):
        layers.VariationalConv2D()
    with pytest.raises(
        TypeError, match="VariationalConv2D: multiple values for argument 'filters'"
    ):
        layers.VariationalConv2D(2, filters=3)


@pytest.mark.parametrize("case", QUICK)
def test_a_regularizer_is_a_prior_or_refused(case):
    for name in arguments_of(case):
        prior = NormalPrior(0, 3.0)
        layer = twin(case, **{f"{name}_regularizer": prior})
        assert getattr(layer, f"{name}_prior") is prior
        with pytest.raises(ValueError, match=f"`{name}_regularizer` of Variational"):
            twin(case, **{f"{name}_regularizer": "l2"})
        with pytest.raises(ValueError, match=f'{name}_constraint.*{name}_posterior="delta"'):
            twin(case, **{f"{name}_constraint": "non_neg"})
        bounded = {f"{name}_constraint": "non_neg", f"{name}_posterior": "delta"}
        assert twin(case, **bounded).built


@pytest.mark.parametrize("case", QUICK)
def test_what_changes_weights_is_refused(case):
    layer = twin(case)
    with pytest.raises(NotImplementedError, match="plain Keras layer"):
        layer.enable_lora(2)
    with pytest.raises(NotImplementedError, match="plain Keras layer"):
        layer.quantize("int8")
    with pytest.raises(NotImplementedError, match="cannot be quantized"):
        twin(case, dtype="int8_from_float32")
    for name in UNSUPPORTED:
        with pytest.raises(ValueError, match=f"has no `{name}`"):
            twin(case, **{name: 2})


@pytest.mark.parametrize("case", EACH)
def test_the_weights_of_keras_are_the_means_and_read_only(case):
    layer = twin(case, build=False)
    assert layer.posteriors == {}
    layer.build((None, *CASES[case][2]))
    scattered(layer)
    names = set(layer.weight_arguments)
    for name in names:
        if name in layer.posteriors:
            assert np.array_equal(
                as_numpy(getattr(layer, name)), as_numpy(layer.posteriors[name].loc)
            )
        else:
            assert name == "bias" and layer.bias is None
        with pytest.raises(AttributeError, match=f"`{name}` .* cannot be set"):
            setattr(layer, name, 0.0)
    expected = plain(case)
    assert {w.name for w in expected.weights} == set(layer.posteriors)


@pytest.mark.parametrize("case", ["conv1d", "conv2d groups", "conv2d transpose", "separable2d"])
def test_unknown_channels_are_refused(case):
    shape = (None, *[4] * (len(CASES[case][2]) - 1), None)
    with pytest.raises(ValueError, match=r"channels .* must be known"):
        twin(case, build=False).build(shape)


def test_unknown_axes_of_an_einsum_are_refused():
    with pytest.raises(ValueError, match="must be known"):
        twin("einsum", build=False).build((None, 2, None))


@pytest.mark.parametrize("case", ["conv2d", "depthwise1d", "separable1d"])
def test_a_matrix_normal_is_for_kernels_with_two_axes(case):
    name = arguments_of(case)[0]
    layer = twin(case, build=False, **{f"{name}_posterior": "matrix_normal"})
    with pytest.raises(ValueError, match="MatrixNormal is a distribution over weights with two"):
        layer.build((None, *CASES[case][2]))


@pytest.mark.parametrize("case", ["einsum batched"])
def test_a_matrix_normal_einsum_needs_inputs_and_outputs(case):
    arguments = {"equation": "abc,bc->abc", "output_shape": (2, 3)}
    layer = layers.VariationalEinsumDense(
        **arguments, kernel_posterior="matrix_normal", estimator="local_reparameterization"
    )
    with pytest.raises(NotImplementedError, match=r"one input axis.*EinsumOp\('abc,bc->abc'\)"):
        layer(data(case), training=True)


@pytest.mark.parametrize("case", QUICK)
def test_estimators_and_families_are_checked(case):
    name = arguments_of(case)[0]
    with pytest.raises(ValueError, match="`estimator` of Variational"):
        twin(case, estimator="other")
    with pytest.raises(ValueError, match="local_reparameterization"):
        twin(case, estimator="local_reparameterization", **{f"{name}_posterior": "full"})
    with pytest.raises(ValueError, match="support of its prior"):
        twin(case, **{f"{name}_prior": priors.LogNormalPrior()})
    positive = {f"{name}_prior": priors.LogNormalPrior(), f"{name}_posterior": "log_normal"}
    assert (as_numpy(twin(case, **positive).posteriors[_weight(case)].sample(0)) > 0).all()


def _weight(case):
    return next(iter(twin_class(case).weight_arguments))


def test_an_embedding_masks_zeros_and_takes_a_table():
    table = np.arange(12.0).reshape(4, 3)
    layer = twin("embedding", weights=[table], build=False)
    x = np.array([[1, 0, 3]], "int32")
    np.testing.assert_allclose(as_numpy(layer(x))[0], table[x[0]])
    assert as_numpy(layer.compute_mask(x)).tolist() == [[1.0, 0.0, 1.0]]
    assert as_numpy(layer(x.astype("float32"))).tolist() == as_numpy(layer(x)).tolist()
    assert layer.embeddings_initializer.__class__.__name__ == "RandomUniform"
    # The mask reaches the next layer.
    model = keras.Sequential([keras.Input((3,), dtype="int32"), layer, keras.layers.LSTM(2)])
    shorter = as_numpy(model(np.array([[1, 3, 0]], "int32")))
    np.testing.assert_allclose(as_numpy(model(np.array([[1, 0, 3]], "int32"))), shorter, rtol=1e-5)
    with pytest.raises(ValueError, match="`weights` of VariationalEmbedding"):
        twin("embedding", weights=np.ones((3, 3)), build=False)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_integer_images_are_taken_as_numbers(estimator):
    x = np.arange(24).reshape(1, 3, 4, 2)
    first, second = (scattered(twin("conv2d", estimator=estimator)) for _ in range(2))
    given = as_numpy(first(x.astype("uint8"), training=True))
    np.testing.assert_allclose(given, as_numpy(second(x.astype("float32"), training=True)))


def test_gradients_are_finite_at_positions_without_signal():
    layer = scattered(twin("conv2d no bias", estimator="local_reparameterization"))
    x = np.zeros((1, 3, 3, 1), "float32")
    x[0, 0, 0] = 1.0

    def loss():
        return ops.sum(ops.square(layer(x, training=True) - 1.0))

    drawn = as_numpy(layer(x, training=True))
    assert np.abs(drawn[0, 1, 1]).max() < 1e-12 < np.abs(drawn[0, 0, 0]).min()
    _, gradients = value_and_gradient(loss, layer.trainable_variables)
    for gradient in gradients:
        assert np.isfinite(gradient).all()
        assert np.abs(gradient).max() < 100
