"""Ordered classes with gaps that are weights."""

import keras
import numpy as np
import pytest
from scipy import optimize, special

import keras_priors as kp

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 1)).astype("float32")
CUTS = np.array([0.0, 1.2, 2.0])
Y = (2.0 * X + 0.5 + RNG.logistic(size=(60, 1)) > CUTS).sum(axis=-1)


def test_fit_finds_the_proportional_odds_of_most_likelihood(tmp_path):
    score = keras.layers.Dense(1)
    gaps = kp.layers.Cutpoints(4, gaps_regularizer=kp.NormalPrior(0.5, 1e3, num_data=60))
    model = keras.Sequential([keras.Input((1,)), score, gaps])
    model.compile(keras.optimizers.Adam(0.1), kp.likelihoods.Ordinal(4))
    model.fit(np.tile(X, (250, 1)), np.tile(Y, 250), batch_size=60, shuffle=False, verbose=0)

    def loss(w):
        cuts = np.concatenate([[0.0], np.cumsum(np.logaddexp(0.0, w[2:]))])
        above = special.expit(w[0] * X + w[1] - cuts)
        ends = np.ones((60, 1)), np.zeros((60, 1))
        p = -np.diff(np.concatenate([ends[0], above, ends[1]], axis=-1))
        return -np.log(p[np.arange(60), Y]).mean()

    best = optimize.minimize(loss, [1.0, 0.0, 0.0, 0.0])
    found = np.concatenate([np.ravel(w) for w in model.get_weights()])
    np.testing.assert_allclose(found, best.x, rtol=0.02, atol=0.02)
    model.save(tmp_path / "model.keras")
    twin = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(twin.predict(X, verbose=0), model.predict(X, verbose=0))
    assert repr(twin.layers[-1].gaps_regularizer) == repr(gaps.gaps_regularizer)
    p = kp.predict(model, X, seed=0, verbose=0)
    np.testing.assert_allclose(
        -np.log(p.probabilities[np.arange(60), Y]).mean(), best.fun, rtol=1e-3
    )


def test_two_classes_have_no_gap_and_more_scores_are_refused():
    layer = kp.layers.Cutpoints(2)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(layer(X)), X)
    with pytest.raises(ValueError, match=r"the size 1\. Received: inputs of shape \(60, 2\)"):
        kp.layers.Cutpoints(3)(np.repeat(X, 2, axis=1))
    with pytest.raises(ValueError, match="must be at least 2"):
        kp.layers.Cutpoints(1)
