"""Laplace against closed forms: conjugate regression, logistic regression, itself where it must."""

import keras
import numpy as np
import pytest
from scipy import special, stats

import keras_priors as kp
from keras_priors.inference import Laplace

NOISE, SCALE = 0.5, 0.7
RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 3)).astype("float32")
TRUE = np.array([[1.0], [-0.5], [0.3]])
Y = (X @ TRUE + 0.2 + NOISE * RNG.normal(size=(30, 1))).astype("float32")
LABELS = (RNG.uniform(size=(30, 1)) < special.expit(X @ TRUE)).astype("float32")
AUGMENTED = np.c_[X, np.ones(30)].astype("float64")


def dense(units, scale=SCALE, **kwargs):
    return keras.layers.Dense(
        units,
        kernel_regularizer=kp.NormalPrior(0.0, scale),
        bias_regularizer=kp.NormalPrior(0.0, scale),
        **kwargs,
    )


def line(**kwargs):
    return keras.Sequential([keras.Input((3,)), dense(1, name="line", **kwargs)])


def at(model, w):
    """The model with these weights: kernel, then bias."""
    model.layers[-1].set_weights([np.reshape(w[:3], (3, 1)), w[3:]])
    return model


def line_at_mode(scale=SCALE):
    model = at(line(), exact(scale)[0])
    kp.set_priors(model, kp.NormalPrior(0.0, scale))
    return model


def logistic_mode(weights=1.0):
    """The mode of the logistic regression, by Newton's method."""
    w = np.zeros(4)
    for _ in range(30):
        p = special.expit(AUGMENTED @ w)
        slope = AUGMENTED.T @ (weights * (LABELS[:, 0] - p)) - w / SCALE**2
        w = w + np.linalg.solve(information(w, weights) + np.eye(4) / SCALE**2, slope)
    return w


def information(w, weights=1.0):
    p = special.expit(AUGMENTED @ w)
    return (AUGMENTED * np.reshape(weights * p * (1 - p), (-1, 1))).T @ AUGMENTED


def exact(scale=SCALE, noise=NOISE):
    """(mean, covariance, log p(y)) of the conjugate regression."""
    precision = AUGMENTED.T @ AUGMENTED / noise**2 + np.eye(4) / scale**2
    covariance = np.linalg.inv(precision)
    mean = covariance @ AUGMENTED.T @ Y[:, 0] / noise**2
    marginal = noise**2 * np.eye(30) + scale**2 * AUGMENTED @ AUGMENTED.T
    return mean, covariance, stats.multivariate_normal(np.zeros(30), marginal).logpdf(Y[:, 0])


def entropy(p):
    return -np.mean(np.sum(p * np.log(p), axis=-1))


def covariance_of(posterior):
    """The covariance (D, D) of the flat vector."""
    size = posterior._rows.size
    return posterior._precision.covariance_of(np.eye(size)[None])[0]


def flat(by_path):
    return np.concatenate([v.reshape(-1) for v in by_path.values()])


@pytest.fixture(scope="module")
def regression():
    return Laplace("full", max_iterations=0).fit(line_at_mode(), X, Y, kp.likelihoods.Normal(NOISE))


@pytest.fixture(scope="module")
def net():
    """A net with a softmax at its mode, and its data."""
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [keras.Input((3,)), dense(4, activation="tanh"), dense(3, activation="softmax")]
    )
    y = np.argmax(X @ RNG.normal(size=(3, 3)) + RNG.normal(size=(30, 3)), axis=1)
    likelihood = kp.likelihoods.Categorical(from_logits=False)
    # Polished once, to a mode that the other fits take as it is.
    posterior = Laplace("full").fit(model, X, y, likelihood)
    for variable, value in zip(model.trainable_variables, posterior.mean().values(), strict=True):
        variable.assign(value)
    return model, y, likelihood, posterior


def fit_net(net, *args, **kwargs):
    model, y, likelihood, _ = net
    return Laplace(*args, max_iterations=0, **kwargs).fit(model, X, y, likelihood)


def test_conjugate_regression_is_exact(regression):
    mean, covariance, log_evidence = exact()
    np.testing.assert_allclose(flat(regression.mean()), mean, rtol=1e-4)
    np.testing.assert_allclose(covariance_of(regression), covariance, rtol=1e-4, atol=1e-8)
    np.testing.assert_allclose(flat(regression.stddev()), np.sqrt(np.diag(covariance)), rtol=1e-4)
    assert regression.log_marginal_likelihood() == pytest.approx(log_evidence, abs=1e-3)


def test_log_prob_is_the_normal_density(regression):
    mean, covariance, _ = exact()
    position = {"line/kernel": TRUE, "line/bias": [0.1]}
    expected = stats.multivariate_normal(mean, covariance).logpdf([1.0, -0.5, 0.3, 0.1])
    assert regression.log_prob(position) == pytest.approx(expected, abs=1e-3)


def test_draws_have_the_moments(regression):
    mean, covariance, _ = exact()
    draws = regression.draws(4000, seed=3)
    drawn = np.concatenate([draws["line/kernel"][..., 0], draws["line/bias"]], axis=1)
    errors = np.sqrt(np.diag(covariance) / 4000)
    assert np.all(np.abs(drawn.mean(0) - mean) < 4 * errors)
    np.testing.assert_allclose(np.cov(drawn.T), covariance, atol=0.1 * np.max(covariance))
    again = regression.draws(2, seed=3)["line/bias"]
    np.testing.assert_array_equal(again, draws["line/bias"][:2])


def test_linearized_predictive_of_a_line_is_exact(regression):
    mean, covariance, _ = exact()
    predictive = regression.predict(X[:5], seed=0)
    rows = AUGMENTED[:5]
    np.testing.assert_allclose(predictive.mean[:, 0], rows @ mean, rtol=1e-4, atol=1e-5)
    variance = np.einsum("ni,ij,nj->n", rows, covariance, rows)
    np.testing.assert_allclose(predictive.epistemic[:, 0], variance, rtol=1e-4)
    np.testing.assert_allclose(predictive.total[:, 0], variance + NOISE**2, rtol=1e-4)


def test_monte_carlo_predictive_of_a_line(regression):
    mean, covariance, _ = exact()
    predictive = regression.predict(X[:5], num_samples=2000, seed=0, method="mc", verbose=0)
    rows = AUGMENTED[:5]
    variance = np.einsum("ni,ij,nj->n", rows, covariance, rows)
    errors = np.sqrt(variance / 2000)
    assert np.all(np.abs(predictive.mean[:, 0] - rows @ mean) < 4 * errors)
    # The relative standard error of a variance is sqrt(2 / S).
    assert np.all(np.abs(predictive.epistemic[:, 0] / variance - 1) < 4 * np.sqrt(2 / 2000))


def test_kronecker_equals_full_for_one_linear_layer_and_squared_error(regression):
    posterior = Laplace("kronecker", max_iterations=0).fit(
        line_at_mode(), X, Y, kp.likelihoods.Normal(NOISE)
    )
    np.testing.assert_allclose(
        covariance_of(posterior), covariance_of(regression), rtol=1e-4, atol=1e-8
    )
    expected = regression.log_marginal_likelihood()
    assert posterior.log_marginal_likelihood() == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("structure", ["full", "diagonal", "kronecker"])
def test_last_layer_equals_all_layers_of_a_net_with_one(structure):
    model, likelihood = line_at_mode(), kp.likelihoods.Normal(NOISE)
    whole = Laplace(structure, max_iterations=0).fit(model, X, Y, likelihood)
    last = Laplace(structure, layers="last").fit(model, X, Y, likelihood)
    np.testing.assert_allclose(covariance_of(last), covariance_of(whole), rtol=1e-4, atol=1e-8)
    np.testing.assert_allclose(
        last.predict(X[:3], seed=0).std, whole.predict(X[:3], seed=0).std, rtol=1e-4
    )


def test_the_last_layers_evidence_is_that_of_a_regression_on_its_features():
    keras.utils.set_random_seed(2)
    model = keras.Sequential([keras.Input((3,)), dense(4, activation="tanh"), dense(1)])
    features = keras.ops.convert_to_numpy(model.layers[0](X)).astype("float64")
    features = np.c_[features, np.ones(30)]
    precision = features.T @ features / NOISE**2 + np.eye(5) / SCALE**2
    w = np.linalg.solve(precision, features.T @ Y[:, 0] / NOISE**2)
    model.layers[1].set_weights([w[:4, None], w[4:]])
    marginal = NOISE**2 * np.eye(30) + SCALE**2 * features @ features.T
    expected = stats.multivariate_normal(np.zeros(30), marginal).logpdf(Y[:, 0])
    posterior = Laplace("full", layers="last").fit(model, X, Y, kp.likelihoods.Normal(NOISE))
    assert posterior.log_marginal_likelihood() == pytest.approx(expected, abs=1e-3)
    np.testing.assert_allclose(
        covariance_of(posterior), np.linalg.inv(precision), rtol=1e-4, atol=1e-8
    )


@pytest.mark.parametrize("from_logits", [True, False])
def test_logistic_regression_has_the_fisher_information(from_logits):
    model = line(activation=None if from_logits else "sigmoid")
    likelihood = kp.likelihoods.Bernoulli(from_logits=from_logits)
    weights = np.random.default_rng(1).uniform(0.5, 2.0, size=30).astype("float32")
    w = logistic_mode(weights)
    posterior = Laplace("full", max_iterations=0).fit(
        at(model, w), X, LABELS, likelihood, sample_weight=weights
    )
    expected = np.linalg.inv(information(w, weights) + np.eye(4) / SCALE**2)
    np.testing.assert_allclose(covariance_of(posterior), expected, rtol=1e-3, atol=1e-6)


def test_hessian_equals_ggn_where_the_logits_are_linear():
    model, likelihood = at(line(), logistic_mode()), kp.likelihoods.Bernoulli()
    found = [
        covariance_of(
            Laplace("full", curvature, max_iterations=0).fit(model, X, LABELS, likelihood)
        )
        for curvature in ("ggn", "hessian")
    ]
    np.testing.assert_allclose(found[0], found[1], rtol=1e-3, atol=1e-7)


def test_empirical_fisher():
    w = logistic_mode()
    posterior = Laplace("full", "fisher", max_iterations=0).fit(
        at(line(), w), X, LABELS, kp.likelihoods.Bernoulli()
    )
    slopes = AUGMENTED * (LABELS[:, 0] - special.expit(AUGMENTED @ w))[:, None]
    expected = np.linalg.inv(slopes.T @ slopes + np.eye(4) / SCALE**2)
    np.testing.assert_allclose(covariance_of(posterior), expected, rtol=1e-3, atol=1e-6)


def test_structures_of_a_net_are_parts_of_the_full_one(net):
    full = net[-1]
    matrix = full._precision.arrays()["matrix"]
    diagonal = fit_net(net, "diagonal")._precision.arrays()["diagonal"]
    np.testing.assert_allclose(diagonal, np.diag(matrix), rtol=1e-4)
    low_rank = fit_net(net, "low_rank", rank=full._rows.size)
    np.testing.assert_allclose(covariance_of(low_rank), covariance_of(full), rtol=1e-3, atol=1e-4)
    expected = full.log_marginal_likelihood()
    assert low_rank.log_marginal_likelihood() == pytest.approx(expected, abs=0.01)
    last = fit_net(net, "full", layers="last")
    np.testing.assert_allclose(
        last._precision.arrays()["matrix"], matrix[-15:, -15:], rtol=1e-3, atol=1e-4
    )
    assert not last.stddev()[last.paths[0]].any()


def test_a_softmax_gives_what_its_logits_give(net):
    model, y, *_ = net
    logits = keras.Sequential([keras.Input((3,)), dense(4, activation="tanh"), dense(3)])
    logits.set_weights(model.get_weights())
    other = Laplace("full", max_iterations=0).fit(logits, X, y, kp.likelihoods.Categorical())
    here = net[-1]
    np.testing.assert_allclose(
        here._precision.arrays()["matrix"],
        other._precision.arrays()["matrix"],
        rtol=1e-3,
        atol=1e-4,
    )
    np.testing.assert_allclose(
        here.predict(X[:4], 2000, seed=0).probabilities,
        other.predict(X[:4], 2000, seed=0).probabilities,
        atol=0.01,
    )


def test_predictives_of_classes(net):
    posterior = fit_net(net, "kronecker")
    found = {
        method: posterior.predict(X[:6], 200, seed=0, method=method, verbose=0).probabilities
        for method in ("glm", "probit", "mc")
    }
    for p in found.values():
        np.testing.assert_allclose(p.sum(-1), 1.0, atol=1e-5)
    np.testing.assert_allclose(found["probit"], found["glm"], atol=0.05)
    # The network at draws of the weights is another predictive, but no closer to the mode.
    mode = np.asarray(keras.ops.convert_to_numpy(net[0](X[:6])))
    assert np.all(np.abs(found["mc"] - found["glm"]) < 0.25)
    assert entropy(found["glm"]) > entropy(mode)
    assert entropy(found["mc"]) > entropy(mode)


def test_probit_is_mackays():
    model, likelihood = at(line(), logistic_mode()), kp.likelihoods.Bernoulli()
    posterior = Laplace("full", max_iterations=0).fit(model, X, LABELS, likelihood)
    f = AUGMENTED @ flat(posterior.mean())
    variance = np.einsum("ni,ij,nj->n", AUGMENTED, covariance_of(posterior), AUGMENTED)
    np.testing.assert_allclose(
        posterior.predict(X, method="probit").probabilities[:, 0],
        special.expit(f / np.sqrt(1 + np.pi * variance / 8)),
        rtol=1e-3,
    )


@pytest.mark.parametrize("structure", ["full", "diagonal", "kronecker", "low_rank"])
def test_save_and_load(net, structure, tmp_path):
    posterior = net[-1] if structure == "full" else fit_net(net, structure, rank=5)
    posterior.save(tmp_path / "a.posterior")
    loaded = kp.inference.Posterior.load(tmp_path / "a.posterior")
    for path, value in posterior.draws(2, seed=1).items():
        np.testing.assert_array_equal(loaded.draws(2, seed=1)[path], value)
    assert loaded.log_marginal_likelihood(prior_scale=1.0) == pytest.approx(
        posterior.log_marginal_likelihood(prior_scale=1.0), abs=1e-6
    )


def test_convolutions_have_kronecker_factors():
    keras.utils.set_random_seed(0)
    prior = kp.NormalPrior(0.0, 1.0)
    model = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            keras.layers.Conv2D(3, 3, strides=2, padding="same", activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Flatten(),
            keras.layers.Dense(2),
        ]
    )
    kp.set_priors(model, prior)
    x = RNG.normal(size=(12, 6, 6, 2)).astype("float32")
    y = RNG.integers(0, 2, size=12)
    method = Laplace(max_iterations=0, tolerance=1e3)
    posterior = method.fit(model, x, y, kp.likelihoods.Categorical())
    diagonal = Laplace("diagonal", max_iterations=0, tolerance=1e3).fit(
        model, x, y, kp.likelihoods.Categorical()
    )
    # The last layer's block is dense (x) logits; the norm's is its diagonal, which is exact.
    names = [path for path in posterior.paths if "norm" in path]
    for name in names:
        np.testing.assert_allclose(posterior.stddev()[name], diagonal.stddev()[name], rtol=1e-4)
    p = posterior.predict(x[:3], seed=0).probabilities
    np.testing.assert_allclose(p.sum(-1), 1.0, atol=1e-5)


def test_a_convolution_of_the_whole_image_is_a_dense_layer():
    x = RNG.normal(size=(20, 2, 3, 2)).astype("float32")
    y = RNG.normal(size=(20, 1)).astype("float32")
    kernel = RNG.normal(size=(12, 1)).astype("float32")
    found = []
    for layers in (
        [keras.layers.Conv2D(1, (2, 3)), keras.layers.Flatten()],
        [keras.layers.Flatten(), keras.layers.Dense(1)],
    ):
        model = keras.Sequential([keras.Input((2, 3, 2)), *layers])
        kp.set_priors(model, kp.NormalPrior(0.0, 1.0))
        weighted = next(layer for layer in layers if layer.weights)
        weighted.set_weights([kernel.reshape(weighted.kernel.shape), np.zeros(1, "float32")])
        posterior = Laplace(max_iterations=0, tolerance=1e3).fit(
            model, x, y, kp.likelihoods.Normal(0.5)
        )
        found.append(covariance_of(posterior))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-3, atol=1e-6)
