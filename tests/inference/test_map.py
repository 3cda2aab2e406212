"""The MAP: in closed form, at bounds, without the Jacobian of the way inside them."""

import keras
import numpy as np
import pytest
from scipy import optimize

import keras_priors as kp

NOISE, SPREAD = 0.5, 0.8
LIKELIHOOD = kp.likelihoods.Normal(NOISE)


def line(prior, start=0.5, features=1, **more):
    layer = keras.layers.Dense(
        1,
        use_bias=False,
        kernel_regularizer=prior,
        kernel_initializer=keras.initializers.Constant(start),
        name="line",
        **more,
    )
    return keras.Sequential([keras.Input((features,)), layer])


def best(posterior):
    return posterior.mean()["line/kernel"][:, 0]


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((40, 3)).astype("float32")
    y = (x @ [[1.0], [-0.5], [0.3]] + NOISE * rng.standard_normal((40, 1))).astype("float32")
    return x, y


def test_it_is_the_ridge_solution_and_the_model_stays(data):
    x, y = data
    model = line(kp.NormalPrior(0.0, SPREAD), features=3)
    posterior = kp.inference.MAP().fit(model, x, y, LIKELIHOOD, verbose=0)
    wide = x.astype("float64")
    ridge = np.linalg.solve(wide.T @ wide + (NOISE / SPREAD) ** 2 * np.eye(3), wide.T @ y)[:, 0]
    np.testing.assert_allclose(best(posterior), ridge, atol=1e-4)
    log_posterior = kp.inference.LogPosterior(model, x, y, LIKELIHOOD)
    assert posterior.log_posterior == pytest.approx(log_posterior(posterior.mean()), rel=1e-5)
    np.testing.assert_array_equal(model.get_weights()[0], np.full((3, 1), 0.5))
    assert posterior.seconds > 0


# Four weights with bounds, each with an output, a prior and targets of its own: one search.
U = np.array([[1.0], [0.5], [-1.0]], "float32")
BOUNDED = {
    # Prior, its -log p, whether the input is U or 0, targets.
    "gamma": (kp.GammaPrior(3.0, 2.0), lambda w: 2.0 * w - 2.0 * np.log(w), 1.0, 1.3 * U),
    "half_normal": (kp.HalfNormalPrior(0.3), lambda w: 0.5 * (w / 0.3) ** 2, 1.0, 0.9 * U),
    "at_the_bound": (kp.HalfNormalPrior(1.0), lambda w: 0.5 * w**2, 1.0, -0.5 * U),
    # Without data it is the mode of p(w), 1 / 1.5; with the Jacobian it would be 2 / 1.5.
    "without_data": (kp.GammaPrior(2.0, 1.5), lambda w: 1.5 * w - np.log(w), 0.0, U),
}


@pytest.fixture(scope="module")
def bounded():
    inputs = keras.Input((1,))
    outputs = {
        name: keras.layers.Dense(
            1,
            use_bias=False,
            kernel_regularizer=prior,
            kernel_initializer=keras.initializers.Constant(0.5),
            name=name,
        )(inputs * times)
        for name, (prior, _, times, _) in BOUNDED.items()
    }
    targets = {name: y for name, (*_, y) in BOUNDED.items()}
    model = keras.Model(inputs, outputs)
    return kp.inference.MAP().fit(model, U, targets, dict.fromkeys(outputs, LIKELIHOOD), verbose=0)


@pytest.mark.parametrize("name", BOUNDED)
def test_a_bounded_weight_is_at_the_constrained_optimum(bounded, name):
    _, minus_log_prior, times, y = BOUNDED[name]

    def loss(w):
        return 0.5 * np.sum(((y - w * times * U) / NOISE) ** 2) + minus_log_prior(w)

    expected = optimize.minimize_scalar(loss, bounds=(1e-9, 4.0), method="bounded").x
    found = bounded.mean()[f"{name}/kernel"].item()
    assert found >= 0
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-3)
    if name == "without_data":
        assert found == pytest.approx(1 / 1.5, rel=2e-3)


def test_no_iterations_take_the_weights_that_fit_has_found(data):
    x, y = data
    model = line(kp.NormalPrior(0.0, SPREAD), features=3)
    posterior = kp.inference.MAP(max_iterations=0).fit(model, x, y, LIKELIHOOD, verbose=0)
    np.testing.assert_array_equal(best(posterior), [0.5, 0.5, 0.5])


def test_a_search_that_stops_too_early_says_so(data):
    model = line(kp.StudentTPrior(2.0, 0.0, 0.1), features=3)
    with pytest.warns(UserWarning, match="MAP stopped before it converged, after at most 1 iter"):
        kp.inference.MAP(max_iterations=1).fit(model, *data, LIKELIHOOD, verbose=0)


def test_arguments():
    with pytest.raises(TypeError, match="max_iterations"):
        kp.inference.MAP(max_iterations=1.5)
    with pytest.raises(ValueError, match="max_iterations"):
        kp.inference.MAP(max_iterations=-1)
    with pytest.raises(ValueError, match="tolerance"):
        kp.inference.MAP(tolerance=0)
    assert repr(kp.inference.MAP(7)) == "MAP(max_iterations=7, tolerance=1e-05)"
    with pytest.raises(ValueError, match="starts anew"):
        kp.inference.MAP().fit(line(kp.NormalPrior()), [[1.0]], [[1.0]], resume=object())
