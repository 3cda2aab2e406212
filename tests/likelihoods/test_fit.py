"""Likelihoods as losses of plain `fit`."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy import stats

from keras_priors import likelihoods
from tests._compiled import compiled
from tests.likelihoods._cases import BY_NAME, CASES, softplus
from tests.posteriors._calculus import as_numpy

every_case = pytest.mark.parametrize("case", CASES, ids=repr)


def constant_model(width, activation=None):
    """A model whose outputs are one bias each, whatever the inputs."""
    inputs = keras.Input((1,))
    outputs = keras.layers.Dense(width, kernel_initializer="zeros", activation=activation)(inputs)
    return keras.Model(inputs, outputs)


def fit_bias(likelihood, y, width, steps=200, rate=0.1):
    model = constant_model(width)
    model.compile(optimizer=keras.optimizers.Adam(rate), loss=likelihood)
    # All data in every step, and all steps in one epoch: an epoch costs more than such a step.
    data = np.tile(y, (steps,) + (1,) * (y.ndim - 1))
    x = np.zeros((len(data), 1))
    model.fit(x, data, batch_size=len(y), epochs=1, shuffle=False, verbose=0)
    return model.get_weights()[1]


@every_case
def test_fit_lowers_the_loss(case):
    width = case.outputs.shape[-1]
    activation = {"categorical-probs": "softmax", "bernoulli-probs": "sigmoid"}.get(case.name)
    activation = "softplus" if case.name == "poisson-rate" else activation
    model = constant_model(width, activation)
    model.set_weights([np.zeros((1, width)), np.linspace(-1.0, 1.0, width)])
    model.compile(optimizer=keras.optimizers.Adam(0.05), loss=case.likelihood)
    y = np.tile(case.y, (4,) + (1,) * (case.y.ndim - 1))
    x = np.ones((len(y), 1))
    before = -case.logpdf(y, as_numpy(model(x)).astype("float64")).mean()
    # An epoch costs more than its steps: there are three of 28 batches.
    steps = np.tile(x, (7, 1)), np.tile(y, (7,) + (1,) * (y.ndim - 1))
    history = model.fit(*steps, batch_size=7, epochs=3, verbose=0)
    assert np.all(np.isfinite(history.history["loss"]))
    # The loss that `evaluate` gives is the mean over observations, the last batch shorter.
    after = model.evaluate(x, y, batch_size=7, verbose=0)
    assert after < before
    outputs = as_numpy(model(x)).astype("float64")
    np.testing.assert_allclose(after, -case.logpdf(y, outputs).mean(), rtol=1e-4)


@pytest.mark.parametrize(
    ("likelihood", "link"),
    [
        (likelihoods.Normal([0.5, 1.0, 2.0]), lambda b: b),
        (likelihoods.Poisson(), np.exp),
        (likelihoods.NegativeBinomial(2.0), np.exp),
        (likelihoods.Bernoulli(), lambda b: 1 / (1 + np.exp(-b))),
    ],
    ids=repr,
)
def test_the_best_constant_is_the_mean_of_the_targets(likelihood, link):
    case = BY_NAME["bernoulli" if isinstance(likelihood, likelihoods.Bernoulli) else "poisson"]
    bias = fit_bias(likelihood, case.y, 3)
    mean = case.y.mean(0)
    # A label that is always the same has no best logit.
    inside = (mean > 0) & (mean < 1) if case.name == "bernoulli" else mean > 0
    assert inside.any()
    np.testing.assert_allclose(link(bias)[inside], mean[inside], rtol=5e-3)


def test_the_best_constant_of_a_laplace_is_the_median():
    y = np.array([[0.0], [1.0], [1.2], [1.3], [50.0]])
    np.testing.assert_allclose(fit_bias(likelihoods.Laplace(), y, 1, 300, 0.02), 1.2, atol=0.05)


def test_an_outlier_does_not_drag_a_student_t():
    y = np.array([[-0.1], [0.0], [0.1], [100.0]])
    assert abs(fit_bias(likelihoods.StudentT(2.0, 0.1), y, 1)[0]) < 0.2


def test_the_best_constant_logits_are_the_frequencies():
    y = np.array([0, 0, 0, 1, 1, 2])
    bias = fit_bias(likelihoods.Categorical(), y, 3)
    softmax = np.exp(bias) / np.exp(bias).sum()
    np.testing.assert_allclose(softmax, [1 / 2, 1 / 3, 1 / 6], rtol=5e-3)


@pytest.mark.slow
def test_the_heteroscedastic_normal_learns_mean_and_scale():
    y = np.random.default_rng(0).normal(3.0, 2.0, size=(64, 2))
    bias = fit_bias(likelihoods.HeteroscedasticNormal(), y, 4, steps=500)
    np.testing.assert_allclose(bias[:2], y.mean(0), rtol=5e-3)
    np.testing.assert_allclose(softplus(bias[2:]), y.std(0), rtol=5e-3)


@pytest.mark.slow
def test_the_beta_learns_mean_and_concentration():
    y = np.random.default_rng(0).beta(2.0, 5.0, size=(256, 1))
    a, b, _, _ = stats.beta.fit(y[:, 0], floc=0.0, fscale=1.0)
    f, k = fit_bias(likelihoods.Beta(), y, 2, steps=500)
    np.testing.assert_allclose(1 / (1 + np.exp(-f)), a / (a + b), rtol=5e-3)
    np.testing.assert_allclose(softplus(k), a + b, rtol=2e-2)


# The base class converts, and each density computes in what it is given: all policies for one, and
# for the others each precision once.
POLICIES = ["float32", "mixed_float16", "mixed_bfloat16", "float16", "bfloat16", "float64"]
DTYPES = [
    *(("normal", policy) for policy in POLICIES),
    *(
        (name, policy)
        for name in ("heteroscedastic", "categorical", "bernoulli-probs")
        for policy in ("mixed_bfloat16", "float16", "float64")
    ),
]


@pytest.mark.parametrize(("name", "policy"), DTYPES)
def test_dtype_policies(name, policy):
    if (policy, keras.backend.backend()) == ("float64", "jax"):
        pytest.skip("JAX has no float64 unless it is told")
    case = BY_NAME[name]
    keras.config.set_dtype_policy(policy)
    activation = "sigmoid" if name == "bernoulli-probs" else None
    model = constant_model(case.outputs.shape[-1], activation)
    model.compile(optimizer=keras.optimizers.SGD(0.01), loss=case.likelihood)
    x = np.zeros((len(case.y), 1))
    model.fit(x, case.y, epochs=1, verbose=0)
    outputs = as_numpy(ops.cast(model(x), "float32")).astype("float64")
    np.testing.assert_allclose(
        model.evaluate(x, case.y, verbose=0), -case.logpdf(case.y, outputs).mean(), rtol=1e-2
    )
    assert np.all(np.isfinite(model.get_weights()[1]))


@pytest.mark.parametrize("floatx", ["float16", "float32"])
def test_the_dtype_of_the_loss_is_that_of_keras_losses(floatx):
    keras.config.set_floatx(floatx)
    y, outputs = np.zeros((1, 1)), np.zeros((1, 1))
    for dtype in (None, "float16", "float32"):
        loss = likelihoods.Normal(dtype=dtype)(y, outputs)
        stock = keras.losses.MeanSquaredError(dtype=dtype)(y, outputs)
        assert loss.dtype == stock.dtype


@compiled
@pytest.mark.parametrize("name", ["normal", "poisson", "negative-binomial", "beta", "categorical"])
def test_under_the_compiler(name):
    case = BY_NAME[name]
    model = constant_model(case.outputs.shape[-1])
    model.compile(optimizer="sgd", loss=case.likelihood, jit_compile=True)
    x = np.zeros((len(case.y), 1))
    expected = -case.logpdf(case.y, np.zeros_like(case.outputs)).mean()
    loss = model.fit(x, case.y, epochs=1, verbose=0).history["loss"]
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
