"""The spread of draws beside what the curvature says, where both are known."""

import keras
import numpy as np
import pytest

import keras_priors as kp
from tests.inference._lines import SIGMA, exact, line_data, line_model

LIKELIHOOD = kp.likelihoods.Normal(SIGMA)


def expected(x, y):
    """Of exact draws: the root of covariance times precision, element by element."""
    covariance = exact(x, y)[1]
    return np.median(np.sqrt(np.diag(covariance) * np.diag(np.linalg.inv(covariance))))


def test_exact_draws_have_that_of_the_posterior_and_narrow_ones_less():
    x, y = line_data()
    mean, covariance = exact(x, y)
    draws = np.random.default_rng(0).multivariate_normal(mean, covariance, (4, 200))
    found = []
    for width in (1.0, 0.1):
        values = (mean + width * (draws - mean))[..., None].astype("float32")
        posterior = kp.inference.SamplePosterior(
            line_model(), LIKELIHOOD, [values], observations=kp.functional.Observations(x, y)
        )
        table = posterior.diagnose()
        assert set(table["weights"]) == {"r_hat", "ess_bulk", "spread"}
        found.append(table["weights"]["spread"])
    # 32 draws of the targets know the curvature to a quarter, its root to an eighth; of three.
    assert found[0] == pytest.approx(expected(x, y), rel=0.25)
    assert found[1] == pytest.approx(0.1 * found[0], rel=1e-3)
    posterior._observations = None
    assert "spread" not in posterior.diagnose(x)["weights"]


def test_members_of_a_linear_regression_have_that_of_the_posterior():
    x, y = line_data()
    posterior = kp.inference.RandomizedMAP(60).fit(
        line_model(), x, y, LIKELIHOOD, seed=0, verbose=0
    )
    assert posterior.diagnose()["weights"]["spread"] == pytest.approx(expected(x, y), rel=0.3)


def test_a_normal_along_a_trajectory_is_measured_too():
    x, y = line_data()
    mean, covariance = exact(x, y)
    zero = np.zeros((0, 3))
    observations = kp.functional.Observations(x, y)
    posterior = kp.inference.SWAGPosterior(
        line_model(), LIKELIHOOD, mean, 0.01 * np.diag(covariance), zero, observations=observations
    )
    found = posterior.diagnose()["weights"]["spread"]
    assert found == pytest.approx(0.1 * expected(x, y), rel=0.25)
    posterior._observations = None
    with pytest.raises(ValueError, match="a posterior without them"):
        posterior.diagnose()


def test_weights_with_bounds_are_left_out():
    prior = kp.HalfNormalPrior(1.0)
    layer = keras.layers.Dense(1, use_bias=False, kernel_regularizer=prior)
    model = keras.Sequential([keras.Input((3,)), layer])
    x, y = line_data()
    values = [np.ones((1, 8, 3, 1), "float32")]
    posterior = kp.inference.SamplePosterior(
        model, LIKELIHOOD, values, observations=kp.functional.Observations(x, y)
    )
    assert np.isnan(posterior.diagnose()["weights"]["spread"])
