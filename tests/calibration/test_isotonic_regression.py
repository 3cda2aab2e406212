import numpy as np
import pytest
from scipy.special import softmax

from keras_priors import likelihoods
from keras_priors.calibration import IsotonicRegression
from keras_priors.predictive import Predictive

isotonic = pytest.importorskip("sklearn.isotonic")

RNG = np.random.default_rng(0)
P = np.round(softmax(2.0 * RNG.standard_normal((2, 300, 3)), axis=-1), 2)  # with many ties
P[..., 2] = 1.0 - P[..., 0] - P[..., 1]
P = np.abs(P)
Y = np.array([RNG.choice(3, p=row / row.sum()) for row in P[0]])


def categorical(draws):
    return Predictive(draws, likelihoods.Categorical(from_logits=False))


def of_one(p, hits):
    return isotonic.IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(p, hits)


def test_each_class_against_the_rest_and_then_the_sum():
    fitted = IsotonicRegression().fit(categorical(P), Y)
    new = np.random.default_rng(1).dirichlet(np.ones(3), (2, 50))
    new[:, 0] = [1.0, 0.0, 0.0]  # beyond the rows of `fit`
    found = fitted.transform(categorical(new))
    mean, at = categorical(P).probabilities, categorical(new).probabilities
    each = np.stack([of_one(mean[:, c], c == Y).predict(at[:, c]) for c in range(3)], axis=-1)
    expected = each / each.sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(found.probabilities, expected, rtol=1e-5, atol=1e-6)
    assert found.num_samples == 1
    assert found.entropy.shape == found.log_prob(Y[:50]).shape == (50,)
    assert len(fitted.calibrators_) == 3


def test_labels_of_two_classes_are_each_fitted_alone():
    p = RNG.uniform(size=(1, 200, 2))
    y = (RNG.uniform(size=(200, 2)) < p[0] ** 2).astype("int64")
    fitted = IsotonicRegression().fit(Predictive(p, likelihoods.Bernoulli(from_logits=False)), y)
    found = fitted.transform(Predictive(p, likelihoods.Bernoulli(from_logits=False)))
    for k in range(2):
        expected = of_one(p[0, :, k], y[:, k]).predict(p[0, :, k])
        np.testing.assert_allclose(found.probabilities[:, k], expected, rtol=1e-5, atol=1e-6)
    one = Predictive(p[..., 0], likelihoods.Bernoulli(from_logits=False))
    alone = IsotonicRegression().fit(one, y[:, 0]).transform(one)
    assert alone.draws.shape == (1, 200)
    np.testing.assert_allclose(alone.probabilities, found.probabilities[:, 0], rtol=1e-6)


def test_what_was_calibrated_stays_and_a_known_distortion_is_undone():
    true = RNG.uniform(size=20_000)
    y = (RNG.uniform(size=20_000) < true).astype("int64")
    p = Predictive(true[None] ** 3, likelihoods.Bernoulli(from_logits=False))
    found = IsotonicRegression().fit(p, y).transform(p).probabilities
    # The error of isotonic regression falls as n^(-1/3): 0.04 here.
    assert np.abs(found - true).mean() < 0.02
    assert np.all(np.diff(found[np.argsort(true)]) >= -1e-7)


def test_probabilities_0_and_1_a_row_of_zeros_and_steps():
    p = categorical(np.eye(3)[None, [0, 1, 2, 0, 1, 2]])
    same = IsotonicRegression().fit(p, [0, 1, 2, 0, 1, 2]).transform(p)
    np.testing.assert_array_equal(same.probabilities, np.eye(3)[[0, 1, 2, 0, 1, 2]])
    assert np.all(np.isfinite(same.log_prob([1, 1, 1, 1, 1, 1])))
    # No class was ever likely where its probability is below a half: nothing is left of a row.
    even = categorical(np.full((1, 1, 3), 1.0 / 3.0))
    fitted = IsotonicRegression().fit(categorical(np.eye(3)[None]), [0, 1, 2])
    fitted.calibrators_ = [of_one([0.0, 0.5, 1.0], [0, 0, 1])] * 3
    np.testing.assert_allclose(
        fitted.transform(categorical(np.array([[[0.5, 0.5, 0.0]]]))).probabilities, even.draws[0]
    )
    steps = categorical(P.reshape(2, 100, 3, 3))
    in_steps = IsotonicRegression().fit(steps, Y.reshape(100, 3)).transform(steps)
    flat = IsotonicRegression().fit(categorical(P), Y).transform(categorical(P))
    np.testing.assert_array_equal(in_steps.draws.reshape(1, 300, 3), flat.draws)


def test_a_class_without_rows_is_said():
    p = categorical(P)
    with pytest.warns(UserWarning, match=r"No calibration row has the classes \[1, 2\]"):
        found = IsotonicRegression().fit(p, np.zeros(300, "int64")).transform(p)
    np.testing.assert_array_equal(found.probabilities, np.eye(3)[np.zeros(300, "int64")])
    with pytest.warns(UserWarning, match=r"the labels \[0\]"):
        one = Predictive(np.array([[0.3]]), likelihoods.Bernoulli(from_logits=False))
        assert IsotonicRegression().fit(one, [0]).transform(one).probabilities[0] == 0.0


def test_scikit_learn_is_asked_for(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sklearn.isotonic", None)
    with pytest.raises(ImportError, match=r"keras-priors\[calibration\]"):
        IsotonicRegression().fit(categorical(P), Y)
