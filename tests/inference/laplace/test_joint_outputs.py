"""Laplace of several outputs: against closed forms, and against models of one output each."""

import keras
import numpy as np
import pytest

import keras_priors as kp

RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((40, 2)).astype("float32")
Z = RANDOM.standard_normal((40, 2)).astype("float32")
W = np.array([[1.0], [-0.5]], "float32")
NOISE = (0.5, 2.0)
Y = [
    (part @ W + scale * RANDOM.standard_normal((40, 1))).astype("float32")
    for part, scale in zip((X, Z), NOISE, strict=True)
]
LIKELIHOODS = [kp.likelihoods.Normal(scale) for scale in NOISE]
PRIOR = kp.NormalPrior(0, 1)


def shared():
    """Two outputs of one layer: w sees both, each with its noise."""
    dense = keras.layers.Dense(1, use_bias=False, kernel_regularizer=PRIOR, name="trunk")
    inputs = [keras.Input((2,)), keras.Input((2,))]
    return keras.Model(inputs, [dense(one) for one in inputs])


def exact(weight=1.0):
    """(mean, covariance) of the posterior of w."""
    precision, right = np.eye(2), np.zeros(2)
    for x, y, scale in zip((X, Z), Y, NOISE, strict=True):
        weighed = x.T.astype("float64") * weight / scale**2
        precision = precision + weighed @ x
        right = right + weighed @ y[:, 0]
    return np.linalg.solve(precision, right), np.linalg.inv(precision)


@pytest.mark.parametrize(
    ("structure", "curvature"),
    [
        ("full", "ggn"),
        ("diagonal", "ggn"),
        ("low_rank", "ggn"),
        pytest.param("full", "hessian", marks=[pytest.mark.slow, pytest.mark.closed_form]),
    ],
)
def test_a_weight_that_both_see(structure, curvature):
    mean, covariance = exact()
    model, laplace = shared(), kp.inference.Laplace(structure, curvature, rank=2)
    if structure != "full":  # the search is the same for all of them
        model.set_weights([mean[:, None]])
        laplace = kp.inference.Laplace(
            structure, curvature, rank=2, max_iterations=0, tolerance=1e-2
        )
    posterior = laplace.fit(model, [X, Z], Y, LIKELIHOODS, verbose=0)
    np.testing.assert_allclose(posterior.mean()["trunk/kernel"][:, 0], mean, rtol=1e-4)
    if structure == "diagonal":
        covariance = np.diag(1.0 / np.diag(np.linalg.inv(covariance)))
    sd = posterior.stddev()["trunk/kernel"][:, 0]
    np.testing.assert_allclose(sd, np.sqrt(np.diag(covariance)), rtol=1e-4)
    first, second = posterior.predict([X[:5], Z[:5]], num_samples=200, seed=0, verbose=0)
    for one, x, likelihood in zip((first, second), (X, Z), LIKELIHOODS, strict=True):
        assert one.likelihood is likelihood
        np.testing.assert_allclose(one.mean[:, 0], x[:5] @ mean, rtol=1e-3, atol=1e-4)
        spread = np.sqrt(np.einsum("ni,ij,nj->n", x[:5], covariance, x[:5]))
        np.testing.assert_allclose(np.sqrt(one.epistemic)[:, 0], spread, rtol=1e-3)


def test_rows_are_weighed_in_all_outputs():
    weight = np.linspace(0.0, 3.0, 40)
    laplace = kp.inference.Laplace("full", max_iterations=0, tolerance=1e6)  # the same anywhere
    posterior = laplace.fit(shared(), [X, Z], Y, LIKELIHOODS, sample_weight=weight, verbose=0)
    sd = posterior.stddev()["trunk/kernel"][:, 0]
    np.testing.assert_allclose(sd, np.sqrt(np.diag(exact(weight)[1])), rtol=1e-4)


def test_a_curvature_that_is_negative_in_one_output_is_refused():
    """Proportions near 0 where all say near 1: the density of Beta bends upwards there."""
    inputs = keras.Input((1,))
    odds = keras.layers.Dense(
        2,
        kernel_initializer="zeros",
        bias_initializer=keras.initializers.Constant(3.0),
        kernel_regularizer=PRIOR,
        bias_regularizer=PRIOR,
    )(inputs)
    x, y = np.ones((5, 1), "float32"), np.full((5, 1), 0.02, "float32")
    model = keras.Model(inputs, [odds[:, :1], odds])
    likelihoods = [kp.likelihoods.Normal(1.0), kp.likelihoods.Beta()]
    laplace = kp.inference.Laplace("kronecker", max_iterations=0)
    with pytest.raises(ValueError, match=r"curvature in the outputs that is not"):
        laplace.fit(model, x, [x, y], likelihoods, verbose=0)


KINDS = {
    "number": (Y[0], kp.likelihoods.Normal(0.5), 1),
    "kind": (RANDOM.integers(0, 3, 40), kp.likelihoods.Categorical(), 3),
}


def head(inputs, name):
    units = KINDS[name][2]
    dense = keras.layers.Dense(units, kernel_regularizer=PRIOR, bias_regularizer=PRIOR, name=name)
    return dense(inputs)


def apart(laplace, name, mode):
    inputs = keras.Input((2,))
    model = keras.Model(inputs, head(inputs, name))
    model.set_weights([mode[f"{name}/kernel"], mode[f"{name}/bias"]])
    return laplace.fit(model, X, KINDS[name][0], KINDS[name][1], verbose=0)


@pytest.fixture(scope="module")
def together():
    inputs = keras.Input((2,))
    model = keras.Model(inputs, {name: head(inputs, name) for name in KINDS}, name="heads")
    # At its mode, which one search finds for all tests.
    mode = of_all(kp.inference.MAP(), model).mean()
    for weight in model.weights:
        weight.assign(mode[weight.path])
    return model


def of_all(laplace, model):
    y = {name: kind[0] for name, kind in KINDS.items()}
    likelihoods = {name: kind[1] for name, kind in KINDS.items()}
    return laplace.fit(model, X, y, likelihoods, verbose=0)


@pytest.mark.parametrize(
    ("structure", "curvature"),
    [
        ("kronecker", "ggn"),
        ("diagonal", "fisher"),
        pytest.param("full", "ggn", marks=[pytest.mark.slow, pytest.mark.closed_form]),
        pytest.param("kronecker", "fisher", marks=[pytest.mark.slow, pytest.mark.closed_form]),
    ],
)
def test_heads_that_share_nothing_are_those_of_models_of_their_own(structure, curvature, together):
    # Without a search: a mode that is not one of each model alone would be warned of.
    laplace = kp.inference.Laplace(structure, curvature, max_iterations=0, tolerance=1e-2)
    joint = of_all(laplace, together)
    alone, evidence = {}, 0.0
    predictive = joint.predict(X[:6], num_samples=400, seed=0, verbose=0)
    assert set(predictive) == set(KINDS)
    for name in KINDS:
        alone[name] = apart(laplace, name, joint.mean())
        evidence += alone[name].log_marginal_likelihood()
        for path in (f"{name}/kernel", f"{name}/bias"):
            np.testing.assert_allclose(joint.mean()[path], alone[name].mean()[path], atol=2e-3)
            np.testing.assert_allclose(joint.stddev()[path], alone[name].stddev()[path], rtol=2e-3)
    if curvature == "ggn":
        assert joint.log_marginal_likelihood() == pytest.approx(evidence, abs=0.02)
        one = alone["number"].predict(X[:6], num_samples=400, seed=0, verbose=0)
        np.testing.assert_allclose(predictive["number"].mean, one.mean, atol=2e-3)
        np.testing.assert_allclose(predictive["number"].std, one.std, rtol=2e-3)
        np.testing.assert_allclose(predictive["kind"].probabilities.sum(axis=1), 1.0, rtol=1e-5)


def test_it_is_compared_tuned_and_saved(together, tmp_path):
    posterior = of_all(kp.inference.Laplace("full"), together)
    y = {name: kind[0] for name, kind in KINDS.items()}
    assert np.isfinite(kp.compare({"laplace": posterior}, X, y)["laplace"]["nll"])
    tuned = posterior.tune("one")
    assert tuned.log_marginal_likelihood() >= posterior.log_marginal_likelihood()
    posterior.save(tmp_path / "joint.posterior")
    loaded = kp.inference.Posterior.load(tmp_path / "joint.posterior")
    first, second = (p.predict(X[:4], seed=0, verbose=0) for p in (posterior, loaded))
    for name in KINDS:
        np.testing.assert_allclose(first[name].draws, second[name].draws, rtol=1e-5, atol=1e-6)


def test_every_output_needs_a_likelihood(together):
    y = {name: kind[0] for name, kind in KINDS.items()}
    likelihoods = {"number": LIKELIHOODS[0], "kind": None}
    with pytest.raises(ValueError, match=r"heads with 2 outputs, of which 1 have none"):
        kp.inference.Laplace("full").fit(together, X, y, likelihoods, verbose=0)
