"""What Laplace refuses or warns of, and what it says."""

import warnings

import keras
import numpy as np
import pytest

import keras_priors as kp
from keras_priors.inference import Laplace

X = np.random.default_rng(0).normal(size=(8, 2)).astype("float32")
Y = np.random.default_rng(1).normal(size=(8, 1)).astype("float32")
NORMAL = kp.likelihoods.Normal(1.0)


def line(prior=None):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, use_bias=False)])
    model.layers[-1].set_weights([np.full((2, 1), 0.2)])
    kp.set_priors(model, prior or kp.NormalPrior(0.0, 1.0))
    return model


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"structure": "dense"}, "structure"),
        ({"curvature": "newton"}, "curvature"),
        ({"layers": "first"}, "layers"),
        ({"curvature": "hessian"}, "ggn"),
        ({"tolerance": 0.0}, "tolerance"),
        ({"rank": 0}, "rank"),
        ({"max_iterations": -1}, "max_iterations"),
    ],
)
def test_arguments(arguments, words):
    with pytest.raises(ValueError, match=words):
        Laplace(**arguments)


def test_too_much_memory_is_refused_before_anything_and_what_fits_is_named():
    model = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(300), keras.layers.Dense(300), keras.layers.Dense(1)]
    )
    kp.set_priors(model, kp.NormalPrior(0.0, 1.0))
    assert Laplace("full").memory(model) > 100 * 2**30
    with pytest.raises(ValueError, match=r'(?s)memory_limit.*"kronecker", layers="all"'):
        Laplace("full").fit(model, X, Y, NORMAL)
    with pytest.raises(ValueError, match="What fits: none"):
        Laplace("diagonal", memory_limit=1).fit(model, X, Y, NORMAL)


def test_no_mode_is_warned_of():
    with pytest.warns(UserWarning, match="posterior standard deviations away"):
        Laplace("full", max_iterations=0, tolerance=1e-6).fit(line(), X, Y, NORMAL)
    with pytest.warns(UserWarning, match="posterior standard deviations away"):
        Laplace("full", layers="last", tolerance=1e-6).fit(line(), X, Y, NORMAL)


def test_a_precision_that_is_not_positive_is_refused():
    model = line(kp.CauchyPrior(0.0, 0.1))  # in its tails log p is convex
    model.layers[-1].set_weights([np.full((2, 1), 3.0)])
    x = np.zeros_like(X)
    for structure in ("full", "diagonal", "kronecker"):
        with pytest.raises(ValueError, match="positive definite"):
            Laplace(structure, max_iterations=0, tolerance=10.0).fit(model, x, Y, NORMAL)


def test_a_likelihood_whose_curvature_can_be_negative_takes_what_never_is():
    """NegativeBinomial(None): for y far below the mean, log p is convex in the dispersion."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, name="line")])
    model.layers[-1].set_weights([np.zeros((2, 2)), np.array([3.0, 2.0])])
    kp.set_priors(model, kp.NormalPrior(0.0, 1.0))
    likelihood, y = kp.likelihoods.NegativeBinomial(None), np.zeros((8, 1), "float32")
    here = {"max_iterations": 0, "tolerance": 1e6}
    with pytest.raises(ValueError, match=r'NegativeBinomial\(None\) alone, or "fisher"'):
        Laplace(**here).fit(model, X, y, likelihood)
    for layers in ("all", "last"):
        posterior = Laplace(curvature="fisher", layers=layers, **here).fit(model, X, y, likelihood)
        assert np.all(posterior.stddev()["line/kernel"] > 0)


def test_a_start_that_is_not_finite_is_refused():
    model = line()
    model.layers[-1].set_weights([np.full((2, 1), np.nan)])
    with pytest.raises(ValueError, match="must be finite"):
        Laplace("full", max_iterations=0).fit(model, X, Y, NORMAL)
    with pytest.raises(ValueError, match="must be finite"):
        Laplace("full", layers="last").fit(model, X, Y, NORMAL)


def test_priors_that_tie_elements_take_the_full_structure():
    covariance = np.array([[1.0, 0.5], [0.5, 1.0]])
    model = line(kp.MultivariateNormalPrior(covariance=covariance, axis=0))
    posterior = Laplace("full", max_iterations=0, tolerance=10.0).fit(model, X, Y, NORMAL)
    expected = np.linalg.inv(X.T @ X + np.linalg.inv(covariance))
    found = posterior._precision.covariance_of(np.eye(2)[None])[0]
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    with pytest.raises(ValueError, match="ties the elements"):
        Laplace("diagonal", max_iterations=0, tolerance=10.0).fit(model, X, Y, NORMAL)


def test_what_a_posterior_refuses():
    posterior = Laplace("diagonal", max_iterations=0, tolerance=10.0).fit(line(), X, Y, NORMAL)
    with pytest.raises(ValueError, match="method"):
        posterior.predict(X, method="exact")
    with pytest.raises(ValueError, match="for classes"):
        posterior.predict(X, method="probit")
    with pytest.raises(ValueError, match="prior_scale"):
        posterior.log_marginal_likelihood(prior_scale=-1.0)
    with pytest.raises(ValueError, match="tune"):
        posterior.tune(None)


@pytest.mark.filterwarnings("ignore:Draws of the weights of a Laplace")
def test_weights_with_bounds_stay_inside():
    model = line(kp.HalfNormalPrior(1.0))
    posterior = Laplace("full", max_iterations=0, tolerance=10.0).fit(model, X, Y, NORMAL)
    draws = next(iter(posterior.draws(500, seed=0).values()))
    assert np.all(draws > 0)
    mean, sd = (next(iter(v.values())) for v in (posterior.mean(), posterior.stddev()))
    assert np.all(np.abs(draws.mean(0) - mean) < 5 * sd / np.sqrt(500))


def test_last_layers_that_are_none():
    inputs = keras.Input((2,))
    hidden = keras.layers.Dense(2)(inputs)
    model = keras.Model(inputs, keras.layers.LayerNormalization()(hidden))
    kp.set_priors(model, kp.NormalPrior(0.0, 1.0))
    with pytest.raises(ValueError, match="ends with a Dense layer"):
        Laplace(layers="last").fit(model, X, np.repeat(Y, 2, axis=1), NORMAL)


def curved(width):
    """A net whose posterior is wide: few rows, and a posterior of its own for each hidden unit."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(width, "tanh"), keras.layers.Dense(1)]
    )
    kp.set_priors(model, kp.NormalPrior(0.0, 3.0))
    return model


@pytest.mark.filterwarnings("ignore:A Laplace approximation is one around a mode")
def test_draws_far_from_the_linearized_network_are_warned_of_once():
    noise = kp.likelihoods.Normal(0.1)
    message = r'part from the linearized ones by .* noise, 0\.1\. Trust predict\(method="glm"\)'
    method = Laplace("full", max_iterations=50)
    posterior = method.fit(curved(20), X, Y, noise, verbose=0)
    for use in (
        lambda p: p.draws(2, seed=0),
        lambda p: p.to_model(3),
        lambda p: p.predict(X, 5, seed=0, method="mc", verbose=0),
        lambda p: p.log_likelihood(X, Y, 5, seed=0),
    ):
        posterior._compared = False  # as of a posterior that nothing has been asked yet
        posterior.predict(X, 5, seed=0, verbose=0)  # which is the linearized one
        posterior.to_model()
        with pytest.warns(UserWarning, match=message) as caught:
            use(posterior)
        said = [w for w in caught if "linearized" in str(w.message)]
        assert [w.filename for w in said] == [__file__]
        use(posterior)


def test_the_gap_is_that_of_a_product_of_two_weights():
    """f = a b x at (a, b) = w* + d: a pair of draws has the middle f(w*) + d_a d_b x."""
    line = {"use_bias": False, "kernel_regularizer": kp.NormalPrior(0.0, 1.0)}
    model = keras.Sequential(
        [keras.Input((1,)), keras.layers.Dense(1, **line), keras.layers.Dense(1, **line)]
    )
    model.set_weights([np.ones((1, 1)), np.ones((1, 1))])
    x = np.ones((16, 1), "float32")
    posterior = Laplace("full").fit(model, x, x, kp.likelihoods.Normal(0.5), verbose=0)
    moves = np.array([posterior._deviation(h) for h in posterior._handles(4, 0)])
    gap = np.sqrt(np.mean(np.prod(moves, axis=1) ** 2))
    for noise, far in ((1.1 * gap, False), (0.9 * gap, True)):
        posterior._rows.natural.likelihood = kp.likelihoods.Normal(float(noise))
        posterior._compared = False
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            posterior.draws(3, seed=0)
        said = [str(w.message) for w in caught if "linearized" in str(w.message)]
        assert [f"ones by {gap:.3g}," in text for text in said] == [True] * far
