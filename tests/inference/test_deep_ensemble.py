"""Deep ensembles: members, their starts and statistics."""

import keras
import numpy as np
import pytest

import keras_priors as kp
from tests.inference._lines import SIGMA, exact, line_data

LIKELIHOOD = kp.likelihoods.Normal(SIGMA)


def net():
    return keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(4, activation="tanh", kernel_regularizer=kp.NormalPrior(0, 1)),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.1),
            keras.layers.Dense(1, kernel_regularizer=kp.NormalPrior(0, 1), name="last"),
        ]
    )


@pytest.mark.filterwarnings("ignore:A weight without a prior")
def test_members_differ_are_repeatable_and_keep_their_statistics(tmp_path):
    x, y = line_data()
    model = net()
    before = [w.copy() for w in model.get_weights()]
    method = kp.inference.DeepEnsemble(3, epochs=2, batch_size=64)
    posterior = method.fit(model, x, y, LIKELIHOOD, seed=0, verbose=0)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    draws = posterior.draws()["last/kernel"]
    assert draws.shape == (3, 4, 1)
    assert np.abs(draws[0] - draws[1]).max() > 0.01
    again = method.fit(model, x, y, LIKELIHOOD, seed=0, verbose=0)
    np.testing.assert_allclose(again.draws()["last/kernel"], draws, rtol=1e-3, atol=1e-4)
    # Each member predicts with its own moving statistics.
    predictive = posterior.predict(x[:6])
    for k in range(3):
        np.testing.assert_allclose(
            posterior.to_model(k).predict(x[:6], verbose=0),
            keras.ops.convert_to_numpy(predictive.draws)[k],
            rtol=1e-4,
            atol=1e-5,
        )
    statistics = [v for v in posterior._states.values() if v.ndim == 3]
    assert len(statistics) == 2
    assert all(np.abs(v[0, 0] - v[0, 1]).max() > 1e-3 for v in statistics)
    posterior.save(tmp_path / "e.posterior")
    loaded = kp.inference.Posterior.load(tmp_path / "e.posterior")
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(loaded.predict(x[:6]).draws),
        keras.ops.convert_to_numpy(predictive.draws),
        rtol=1e-5,
        atol=1e-6,
    )


@pytest.mark.slow
def test_members_of_a_convex_problem_meet_at_the_map():
    x, y = line_data()
    model = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(1, use_bias=False, kernel_regularizer=kp.NormalPrior(0.2, 0.8)),
        ]
    )
    method = kp.inference.DeepEnsemble(
        2, epochs=60, batch_size=256, optimizer=keras.optimizers.SGD(0.1)
    )
    posterior = method.fit(model, x, y, LIKELIHOOD, seed=0, verbose=0)
    mean, _ = exact(x, y)
    for draw in posterior.draws()[posterior.paths[0]]:
        np.testing.assert_allclose(draw[:, 0], mean, atol=1e-3)


def test_failures_say_what_to_do(monkeypatch):
    x, y = line_data()
    with pytest.raises(ValueError, match="start"):
        kp.inference.DeepEnsemble(start="zero")
    model = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(1, use_bias=False, kernel_regularizer=kp.NormalPrior(0, 1)),
        ]
    )
    method = kp.inference.DeepEnsemble(2, epochs=30, optimizer=keras.optimizers.SGD(1e6))
    with pytest.raises(ValueError, match=r"Member 0 .* finite"):
        method.fit(model, x, y, LIKELIHOOD, seed=0, verbose=0)
