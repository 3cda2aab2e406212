"""Which losses are understood as likelihoods, and why the others are not."""

import keras
import numpy as np
import pytest

from keras_priors import likelihoods
from keras_priors.functional.likelihood_of import likelihood_of
from tests.likelihoods._cases import f32, numpy

kl = keras.losses
STOCK = [
    ("binary_crossentropy", "Bernoulli(from_logits=False)"),
    ("bce", "Bernoulli(from_logits=False)"),
    ("BinaryCrossentropy", "Bernoulli(from_logits=False)"),
    (kl.binary_crossentropy, "Bernoulli(from_logits=False)"),
    (kl.BinaryCrossentropy, "Bernoulli(from_logits=False)"),
    (kl.BinaryCrossentropy(), "Bernoulli(from_logits=False)"),
    (kl.BinaryCrossentropy(from_logits=True), "Bernoulli(from_logits=True)"),
    ("categorical_crossentropy", "Categorical(from_logits=False)"),
    (kl.categorical_crossentropy, "Categorical(from_logits=False)"),
    (kl.CategoricalCrossentropy(from_logits=True), "Categorical(from_logits=True)"),
    ("sparse_categorical_crossentropy", "Categorical(from_logits=False)"),
    (kl.sparse_categorical_crossentropy, "Categorical(from_logits=False)"),
    (kl.SparseCategoricalCrossentropy(from_logits=True), "Categorical(from_logits=True)"),
    (kl.serialize(kl.CategoricalCrossentropy(from_logits=True)), "Categorical(from_logits=True)"),
    ("poisson", "Poisson(from_log_rate=False)"),
    (kl.poisson, "Poisson(from_log_rate=False)"),
    (kl.Poisson(), "Poisson(from_log_rate=False)"),
    (likelihoods.Bernoulli, "Bernoulli(from_logits=True)"),
]


@pytest.mark.parametrize(("loss", "expected"), STOCK, ids=str)
def test_stock_losses_are_understood(loss, expected):
    assert repr(likelihoods.get(loss)) == expected


def test_a_likelihood_is_itself():
    likelihood = likelihoods.Normal(2.0)
    assert likelihoods.get(likelihood) is likelihood


@pytest.mark.parametrize("from_logits", [False, True])
@pytest.mark.parametrize("sparse", [False, True])
def test_the_likelihood_of_classes_is_the_stock_loss(sparse, from_logits):
    rng = np.random.default_rng(0)
    outputs, classes = f32(rng.normal(size=(8, 4))), rng.integers(0, 4, size=8)
    outputs = outputs if from_logits else numpy(keras.ops.softmax(outputs))
    stock = kl.SparseCategoricalCrossentropy if sparse else kl.CategoricalCrossentropy
    loss = stock(from_logits=from_logits)
    y = classes if sparse else f32(np.eye(4)[classes])
    np.testing.assert_allclose(
        numpy(likelihoods.get(loss)(y, outputs)), numpy(loss(y, outputs)), rtol=1e-5
    )


@pytest.mark.parametrize("from_logits", [False, True])
def test_the_likelihood_of_two_classes_is_the_stock_loss(from_logits):
    rng = np.random.default_rng(0)
    outputs, y = f32(rng.normal(size=(8, 1))), rng.integers(0, 2, size=8)
    outputs = outputs if from_logits else 1 / (1 + np.exp(-outputs))
    loss = kl.BinaryCrossentropy(from_logits=from_logits)
    np.testing.assert_allclose(
        numpy(likelihoods.get(loss)(y, outputs)), numpy(loss(y, outputs)), rtol=1e-5
    )


def test_the_likelihood_of_counts_is_the_stock_loss_and_the_factorial():
    y, rates = f32([[0.0], [1.0], [4.0]]), f32([[0.5], [2.0], [3.0]])
    ours, stock = numpy(likelihoods.get("poisson")(y, rates)), numpy(kl.Poisson()(y, rates))
    np.testing.assert_allclose(ours - stock, np.log(24.0) / 3, rtol=1e-5)


@pytest.mark.parametrize("loss", ["binary_crossentropy", "poisson"])
def test_means_over_several_outputs_are_refused(loss):
    likelihood = likelihoods.get(loss)
    with pytest.raises(ValueError, match="mean where the log density is their sum") as error:
        likelihood.log_prob(np.ones((4, 3)), np.full((4, 3), 0.5))
    assert f"loss=keras_priors.likelihoods.{likelihood!r}" in str(error.value)
    # Steps are observations to Keras, too: there nothing is wrong with the mean.
    assert likelihood.log_prob(np.ones((4, 3)), np.full((4, 3, 1), 0.5)).shape == (4, 3)
    assert type(likelihood)().log_prob(np.ones((4, 3)), np.zeros((4, 3))).shape == (4,)


@pytest.mark.parametrize(
    "loss", ["mse", "MSE", "mean_squared_error", kl.mean_squared_error, kl.MeanSquaredError()]
)
def test_mse_is_refused_with_what_to_write(loss):
    with pytest.raises(ValueError, match='"mean_squared_error" is not a likelihood') as error:
        likelihoods.get(loss)
    for part in (
        "mean over outputs",
        "2 sigma^2 / d times",
        "keras_priors.likelihoods.Normal(scale=...)",
    ):
        assert part in str(error.value)


def test_mse_is_what_the_refusal_says_it_is():
    rng = np.random.default_rng(0)
    y, f, g = (f32(rng.normal(size=(8, 3))) for _ in range(3))
    sigma, normal, mse = 0.7, likelihoods.Normal(0.7), kl.MeanSquaredError()
    ratio = (numpy(mse(y, f)) - numpy(mse(y, g))) / (numpy(normal(y, f)) - numpy(normal(y, g)))
    np.testing.assert_allclose(ratio, 2 * sigma**2 / 3, rtol=1e-4)
    laplace, mae = likelihoods.Laplace(0.7), kl.MeanAbsoluteError()
    ratio = (numpy(mae(y, f)) - numpy(mae(y, g))) / (numpy(laplace(y, f)) - numpy(laplace(y, g)))
    np.testing.assert_allclose(ratio, sigma / 3, rtol=1e-4)


@pytest.mark.parametrize(
    ("loss", "advice"),
    [
        ("mae", "Laplace"),
        (kl.MeanAbsoluteError(), "Laplace"),
        ("huber", "StudentT"),
        (kl.Huber(), "StudentT"),
        ("log_cosh", "StudentT"),
        ("msle", "logarithm"),
        ("mape", "logarithm"),
        ("hinge", "Bernoulli"),
        (kl.CategoricalFocalCrossentropy(), "Categorical"),
        ("cosine_similarity", "log density"),
        ("kl_divergence", "log density"),
        (lambda y, f: f, "log density"),
    ],
    ids=str,
)
def test_other_losses_are_refused_with_what_to_write(loss, advice):
    with pytest.raises(ValueError, match="is not a likelihood") as error:
        likelihoods.get(loss)
    assert advice in str(error.value)


def test_a_function_named_like_a_stock_loss_is_not_it():
    def binary_crossentropy(y_true, y_pred):
        return y_pred

    class BinaryCrossentropy(kl.BinaryCrossentropy):
        def call(self, y_true, y_pred):
            return y_pred

    for loss in (binary_crossentropy, BinaryCrossentropy()):
        with pytest.raises(ValueError, match="nothing says"):
            likelihoods.get(loss)


@pytest.mark.parametrize(
    ("loss", "reason"),
    [
        (kl.BinaryCrossentropy(label_smoothing=0.1), "label_smoothing=0.1"),
        (kl.CategoricalCrossentropy(label_smoothing=0.1), "label_smoothing=0.1"),
        (kl.SparseCategoricalCrossentropy(ignore_class=0), "ignore_class=0"),
        (kl.CategoricalCrossentropy(axis=1), "axis=1"),
        (kl.BinaryCrossentropy(reduction="sum"), "batch size"),
        (kl.Poisson(reduction="sum"), "batch size"),
    ],
    ids=str,
)
def test_settings_with_which_a_stock_loss_is_no_density(loss, reason):
    with pytest.raises(ValueError, match=reason):
        likelihoods.get(loss)


@pytest.mark.parametrize("loss", ["crossentropy", "ce"])
def test_the_loss_that_looks_at_the_targets_is_refused(loss):
    with pytest.raises(ValueError, match="must be known before the targets are seen"):
        likelihoods.get(loss)


@pytest.mark.parametrize("loss", [["mse", "mse"], {"a": "mse"}, ()])
def test_structures_are_refused(loss):
    with pytest.raises(ValueError, match="One likelihood explains one output"):
        likelihoods.get(loss)


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match=r"Received: 'norml'\. Use one of them"):
        likelihoods.get("norml")


@pytest.mark.parametrize("loss", [None, 1, 2.0, int, np.zeros(3)])
def test_what_is_no_loss_is_refused(loss):
    with pytest.raises(TypeError, match="must be an instance of"):
        likelihoods.get(loss)


def small_model(outputs=1):
    x = keras.Input((2,))
    heads = [keras.layers.Dense(1, activation="sigmoid", name=f"h{i}")(x) for i in range(outputs)]
    return keras.Model(x, heads if outputs > 1 else heads[0])


@pytest.mark.parametrize("loss", ["bce", kl.BinaryCrossentropy(), ["bce"], {"h0": "bce"}], ids=str)
def test_the_likelihood_of_a_compiled_model(loss):
    model = small_model()
    model.compile(loss=loss)
    assert repr(likelihood_of(model)) == "Bernoulli(from_logits=False)"


def test_the_likelihood_of_a_loaded_model(tmp_path):
    for loss in ("binary_crossentropy", kl.binary_crossentropy, kl.BinaryCrossentropy()):
        model = small_model()
        model.compile("sgd", loss=loss)
        model.save(tmp_path / "model.keras")
        twin = keras.saving.load_model(tmp_path / "model.keras")
        assert repr(likelihood_of(twin)) == "Bernoulli(from_logits=False)"


def test_the_likelihoods_of_several_outputs():
    model = small_model(2)
    model.compile(loss=["bce", likelihoods.Normal()])
    assert [type(each).__name__ for each in likelihood_of(model)] == ["Bernoulli", "Normal"]
    model.compile(loss={"h0": "bce", "h1": None})
    assert repr(likelihood_of(model)) == "{'h0': Bernoulli(from_logits=False), 'h1': None}"


def test_a_model_that_has_no_likelihood_says_so():
    model = small_model()
    with pytest.raises(ValueError, match="not compiled"):
        likelihood_of(model)
    model.compile("sgd")
    with pytest.raises(ValueError, match="compiled without a loss"):
        likelihood_of(model)
    model.compile("sgd", loss="mse")
    with pytest.raises(ValueError, match="Normal"):
        likelihood_of(model)
