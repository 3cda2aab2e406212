"""How unlike the training data rows look, and a threshold at a rate of false alarms."""

import numpy as np
import pytest
from scipy import special, stats

import keras_priors as kp
from keras_priors.predictive.ood_score import ood_score
from keras_priors.predictive.ood_threshold import ood_threshold

RNG = np.random.default_rng(4)
LOGITS = RNG.normal(size=(12, 6, 3))
CLASSES = kp.Predictive(LOGITS, kp.likelihoods.Categorical())
P = special.softmax(LOGITS, axis=-1)
TWO = kp.Predictive(LOGITS[..., :1], kp.likelihoods.Bernoulli())


def test_scores_of_classes():
    close = {"rtol": 1e-5}
    mean = P.mean(axis=0)
    entropy = stats.entropy(mean, axis=-1)
    np.testing.assert_allclose(ood_score(CLASSES), entropy, **close)
    information = entropy - stats.entropy(P, axis=-1).mean(axis=0)
    np.testing.assert_allclose(ood_score(CLASSES, "mutual_information"), information, rtol=1e-4)
    np.testing.assert_allclose(ood_score(CLASSES, "max_probability"), 1 - mean.max(-1), **close)
    energy = -special.logsumexp(LOGITS, axis=-1).mean(axis=0)
    np.testing.assert_allclose(ood_score(CLASSES, "energy"), energy, rtol=1e-12)
    p = special.expit(LOGITS[..., 0]).mean(axis=0)
    found = ood_score(TWO, "max_probability")
    np.testing.assert_allclose(found, np.minimum(p, 1 - p), **close)
    pairs = np.stack([np.zeros((12, 6)), LOGITS[..., 0]], axis=-1)
    same = kp.Predictive(pairs, kp.likelihoods.Categorical())
    for score in ("entropy", "mutual_information", "energy"):
        found = ood_score(TWO, score)
        assert found.shape == (6,)
        np.testing.assert_allclose(found, ood_score(same, score), rtol=1e-4, atol=1e-7)


def test_the_density_of_draws_is_that_of_their_normal():
    numbers = kp.Predictive(LOGITS, kp.likelihoods.Normal(1.0))
    expected = [
        stats.multivariate_normal(np.zeros(3), np.cov(LOGITS[:, i].T)).entropy() for i in range(6)
    ]
    np.testing.assert_allclose(ood_score(numbers, "density"), expected, rtol=1e-9)
    # Softmax does not see a number that is added to all logits, and so neither does the score.
    shifted = LOGITS + 10 * RNG.normal(size=(12, 6, 1))
    of_shifted = ood_score(kp.Predictive(shifted, CLASSES.likelihood), "density")
    np.testing.assert_allclose(of_shifted, ood_score(CLASSES, "density"), rtol=1e-9)
    # Nor does it matter whether logits or probabilities are given.
    given = kp.Predictive(P, kp.likelihoods.Categorical(from_logits=False))
    np.testing.assert_allclose(ood_score(given, "density"), ood_score(CLASSES, "density"))
    one = kp.Predictive(special.expit(LOGITS[..., 0]), kp.likelihoods.Bernoulli(from_logits=False))
    np.testing.assert_allclose(ood_score(one, "density"), ood_score(TWO, "density"))
    assert np.all(ood_score(kp.Predictive(np.zeros((9, 2, 1))), "density") == -np.inf)


def test_scores_of_numbers_and_of_steps():
    numbers = kp.Predictive(LOGITS, kp.likelihoods.Normal([1.0, 2.0, 3.0]))
    epistemic = LOGITS.var(axis=0).sum(axis=-1)
    np.testing.assert_allclose(ood_score(numbers, "epistemic"), epistemic, rtol=1e-6)
    np.testing.assert_allclose(ood_score(numbers, "variance"), epistemic + 14.0, rtol=1e-6)
    steps = kp.Predictive(LOGITS.reshape(12, 3, 2, 3), kp.likelihoods.Categorical())
    for score in ("entropy", "max_probability", "energy", "density", "epistemic"):
        found = ood_score(steps, score)
        np.testing.assert_allclose(found, ood_score(CLASSES, score).reshape(3, 2), rtol=1e-6)
    labels = kp.Predictive(LOGITS, kp.likelihoods.Bernoulli())
    np.testing.assert_allclose(ood_score(labels), labels.entropy.sum(axis=-1))
    assert ood_score(kp.Predictive(LOGITS[..., 0]), "epistemic").shape == (6,)


def test_what_has_no_score_is_refused():
    probabilities = kp.Predictive(P, kp.likelihoods.Categorical(from_logits=False))
    with pytest.raises(TypeError, match="Predictive"):
        ood_score(P)
    with pytest.raises(ValueError, match="`score` must be one of"):
        ood_score(CLASSES, "margin")
    with pytest.raises(ValueError, match="is of logits"):
        ood_score(probabilities, "energy")
    with pytest.raises(ValueError, match="one set of classes"):
        ood_score(kp.Predictive(LOGITS, kp.likelihoods.Bernoulli()), "energy")
    for score in ("entropy", "mutual_information", "max_probability", "energy"):
        with pytest.raises(ValueError, match=r'numbers there are "variance", "epistemic"'):
            ood_score(kp.Predictive(LOGITS, kp.likelihoods.Normal(1.0)), score)
    with pytest.raises(ValueError, match="more draws than outputs"):
        ood_score(kp.Predictive(LOGITS[:2], CLASSES.likelihood), "density")
    ood_score(kp.Predictive(LOGITS[:3], CLASSES.likelihood), "density")


def test_new_rows_are_above_the_threshold_at_the_rate():
    rng = np.random.default_rng(0)
    rates = []
    for _ in range(2000):
        threshold = ood_threshold(rng.normal(size=39), 0.1)
        rates.append(stats.norm.sf(threshold))
    # With 39 scores it is the 36th: P(new one above) = 1 - 36 / 40, whatever the distribution.
    assert np.mean(rates) == pytest.approx(0.1, abs=4 * np.std(rates) / np.sqrt(2000))
    assert ood_threshold([3.0, 1.0, 2.0], 0.25) == 3.0
    assert ood_threshold(np.zeros((3, 3)), 0.5) == 0.0  # ties
    assert ood_threshold(np.arange(1, 20), 0.05) == 19.0


def test_a_threshold_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="needs 19 scores"):
        ood_threshold(np.arange(18), 0.05)
    with pytest.raises(ValueError, match="no NaN"):
        ood_threshold([1.0, np.nan])
    with pytest.raises(ValueError, match="one number at least"):
        ood_threshold([])
    for rate in (0.0, 1.0, np.nan):
        with pytest.raises(ValueError, match="false_positive_rate"):
            ood_threshold(np.arange(100), rate)
