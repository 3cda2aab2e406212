"""Anchored ensembles: exact where the model is linear."""

import keras
import numpy as np
import pytest

import keras_priors as kp
from tests.inference._lines import SIGMA, exact, line_data, line_model

LIKELIHOOD = kp.likelihoods.Normal(SIGMA)
MEMBERS = 60


def test_a_linear_regression_is_drawn_exactly():
    x, y = line_data()
    x, y = x[:20], y[:20]
    posterior = kp.inference.RandomizedMAP(MEMBERS).fit(
        line_model(), x, y, LIKELIHOOD, seed=0, verbose=0
    )
    mean, covariance = exact(x, y)
    sd = np.sqrt(np.diag(covariance))
    draws = posterior.draws()["line/kernel"][..., 0]
    assert draws.shape == (MEMBERS, 3)
    assert np.all(np.abs(draws.mean(0) - mean) < 4 * sd / MEMBERS**0.5)
    error = np.outer(sd, sd) * (2 / MEMBERS) ** 0.5
    assert np.all(np.abs(np.cov(draws.T) - covariance) < 4 * error)


@pytest.mark.closed_form
@pytest.mark.slow
def test_a_member_is_the_map_of_its_own_problem():
    """Without noise of targets: the closed form, at the anchor that the seed gives."""
    x, y = line_data()
    x, y = x[:20], y[:20]
    model = line_model()
    method = kp.inference.RandomizedMAP(2, noise_targets=False)
    draws = method.fit(model, x, y, LIKELIHOOD, seed=7, verbose=0).draws()["line/kernel"][..., 0]
    precision = x.T.astype("float64") @ x / SIGMA**2 + np.eye(3) / 0.8**2
    # anchor = 0.8^2 (precision w - x'y / sigma^2) is where the gradient is zero.
    anchors = 0.64 * (draws @ precision - (x.T @ y[:, 0]) / SIGMA**2)
    words = keras.ops.convert_to_numpy(kp.backend.as_seed(7))
    expected = kp.sample_prior(model, 2, int(words[0]) + (int(words[1]) << 32))["line/kernel"]
    np.testing.assert_allclose(anchors, expected[..., 0], atol=2e-2)


def test_what_is_not_normal_is_refused():
    x, y = line_data()
    model = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(1, use_bias=False, kernel_regularizer=kp.LaplacePrior(0, 1)),
        ]
    )
    with pytest.raises(ValueError, match="moves the mean of normal priors"):
        kp.inference.RandomizedMAP(2).fit(model, x, y, LIKELIHOOD, verbose=0)
    with pytest.raises(ValueError, match="where the likelihood is Normal"):
        kp.inference.RandomizedMAP(2, noise_targets=True).fit(
            line_model(), x, y, kp.likelihoods.StudentT(4.0, 1.0), verbose=0
        )


def test_members_that_are_not_there_or_not_done_are_named(monkeypatch):
    x, y = line_data()
    calls = []

    def interrupt(self):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("keras_priors.inference.ensembles.members.Progress.step", interrupt)
    method = kp.inference.RandomizedMAP(4, max_iterations=1)
    with pytest.warns(UserWarning) as said:
        posterior = method.fit(line_model(), x[:20], y[:20], LIKELIHOOD, seed=0, verbose=0)
    messages = [str(w.message) for w in said if issubclass(w.category, UserWarning)]
    assert "there are 2 of 4 members" in messages[0]
    assert "2 of 2 members of RandomizedMAP stopped before they converged" in messages[1]
    assert posterior.num_draws == 2
