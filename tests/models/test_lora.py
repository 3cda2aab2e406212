"""LoRA within attention layers, of which no config speaks: priors, copies, files."""

import warnings

import keras
import numpy as np
import pytest
from keras import layers, ops

import keras_priors as kp
from keras_priors.inference import LogPosterior, MeanField

# PyTorch has no batched attention of its fast kind on the CPU, and says so.
pytestmark = pytest.mark.filterwarnings("ignore:There is a performance drop")

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def array(tensor):
    return ops.convert_to_numpy(tensor)


def transformer(rank=2):
    """One block and a head; LoRA on the queries, and on a Dense layer with an alpha."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((5, 8))
    attention = layers.MultiHeadAttention(2, 4, name="attention")
    x = layers.LayerNormalization(name="norm")(inputs + attention(inputs, inputs))
    x = layers.Dense(8, activation="gelu", name="up")(x)
    outputs = layers.Dense(3, name="head")(layers.GlobalAveragePooling1D()(x))
    model = keras.Model(inputs, outputs, name="block")
    for layer in model.layers:
        layer.trainable = False
    for layer in (attention._query_dense, model.get_layer("up")):
        layer.trainable = True
        layer.enable_lora(rank, lora_alpha=6.0)
        layer.bias.trainable = False
        layer.lora_kernel_b.assign(keras.random.normal(layer.lora_kernel_b.shape, stddev=0.3))
    return model


PATHS = [f"{layer}/lora_kernel_{factor}" for layer in ("attention/query", "up") for factor in "ab"]


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    return rng.normal(size=(12, 5, 8)).astype("float32"), rng.integers(0, 3, 12)


def test_priors_within_attention_are_those_of_variables_alone(data):
    model = transformer()
    with pytest.raises(ValueError, match="has other layers or weights than the model"):
        kp.set_priors(model, {"*lora*": kp.NormalPrior(0, 1)})
    assert list(kp.set_priors(model, {"*lora*": kp.NormalPrior(0, 1)}, saved=False)) == PATHS
    value, gradient = LogPosterior(model, *data, LOSS).value_and_gradient()
    assert np.isfinite(value)
    assert list(gradient) == PATHS
    assert all(np.abs(slope).max() > 1e-3 for slope in gradient.values())


@pytest.mark.parametrize("quantize", [False, True])
def test_a_posterior_over_factors_is_there_after_loading(quantize, data, tmp_path):
    model = transformer()
    kp.set_priors(model, {"*lora*": kp.NormalPrior(0, 1)}, saved=False)
    if quantize:
        model.quantize("int8", filters=lambda x: x.name == "up")
    before = array(model(data[0]))
    posterior = MeanField(num_steps=5).fit(model, *data, LOSS, seed=0, verbose=0)
    posterior.save(tmp_path / "lora.posterior")
    np.testing.assert_array_equal(array(model(data[0])), before)
    loaded = kp.inference.Posterior.load(tmp_path / "lora.posterior")
    np.testing.assert_allclose(array(loaded.model(data[0])), before, atol=1e-5)
    assert kp.get_priors(loaded.model).keys() == kp.get_priors(model).keys() == set(PATHS)
    found, expected = (p.predict(data[0], seed=0).probabilities for p in (loaded, posterior))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_factors_become_variational_on_what_stays_frozen(data):
    model = transformer()
    kp.set_priors(model, {"*lora*": kp.NormalPrior(0, 1)}, saved=False)
    bayesian = kp.to_variational(model, num_data=12)
    np.testing.assert_allclose(array(bayesian(data[0])), array(model(data[0])), atol=1e-5)
    names = {v.path.rsplit("/", 1)[-1] for v in bayesian.trainable_variables}
    assert names == {"lora_kernel_a", "lora_kernel_b"} | {
        v.path.rsplit("/", 1)[-1] for v in bayesian.trainable_variables if "rho" in v.name
    }
    assert len(bayesian.trainable_variables) == 8
    frozen = [array(v) for v in bayesian.variables if v.name in ("kernel", "bias")]
    bayesian.compile("sgd", LOSS)
    bayesian.fit(*data, epochs=1, verbose=0)
    after = [array(v) for v in bayesian.variables if v.name in ("kernel", "bias")]
    for one, other in zip(frozen, after, strict=True):
        np.testing.assert_array_equal(one, other)


def test_factors_that_are_both_0_are_said(data, tmp_path):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="out")])
    model.get_layer("out").enable_lora(2)
    kp.set_priors(model, kp.NormalPrior(0, 1))
    x = np.ones((6, 4), "float32")
    LogPosterior(model, x, np.arange(6) % 3, LOSS)  # B alone is 0
    model.save(tmp_path / "it.keras")
    loaded = keras.saving.load_model(tmp_path / "it.keras")
    with pytest.warns(UserWarning, match="both at 0 on out"):
        LogPosterior(loaded, x, np.arange(6) % 3, LOSS)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["GPT2", "Bert"])
def test_backbones_of_keras_hub(kind, tmp_path):
    hub = pytest.importorskip("keras_hub")
    keras.utils.set_random_seed(0)
    make = {"GPT2": hub.models.GPT2Backbone, "Bert": hub.models.BertBackbone}[kind]
    backbone = make(
        vocabulary_size=20,
        num_layers=2,
        num_heads=2,
        hidden_dim=8,
        intermediate_dim=16,
        max_sequence_length=6,
    )
    backbone.enable_lora(2)
    features = backbone(backbone.input)
    if kind == "Bert":
        features = features["pooled_output"]
    else:
        features = layers.GlobalAveragePooling1D()(features)
    model = keras.Model(backbone.input, layers.Dense(3, name="head")(features))
    rng = np.random.default_rng(0)
    x = {
        name: rng.integers(0, 20, (12, 6)) if name == "token_ids" else np.ones((12, 6), "int32")
        for name in backbone.input
    }
    if "segment_ids" in x:
        x["segment_ids"] = np.zeros((12, 6), "int32")
    y = rng.integers(0, 3, 12)
    matched = kp.set_priors(model, kp.NormalPrior(0, 1), saved=False)
    assert sum("lora" in path for path in matched) >= 8
    assert not any(path.endswith("query/kernel") for path in matched)
    posterior = MeanField(num_steps=5).fit(model, x, y, LOSS, seed=0, verbose=0)
    posterior.save(tmp_path / "hub.posterior")
    loaded = kp.inference.Posterior.load(tmp_path / "hub.posterior")
    found, expected = (p.predict(x, seed=0).probabilities for p in (loaded, posterior))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    if keras.config.backend() == "tensorflow":
        return  # TensorFlow 2.21 aborts in the Jacobian of what follows: see the how-to page
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of layers that have nothing to quantize
        model.quantize("int8")
    for structure in ("low_rank", "kronecker"):
        method = kp.inference.Laplace(structure, max_iterations=0, tolerance=1e9)
        laplace = method.fit(model, x, y, LOSS, seed=0, verbose=0)
        assert np.isfinite(laplace.predict(x, seed=0).probabilities).all()
