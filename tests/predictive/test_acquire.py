"""Which rows to label next: mutual information by brute force."""

import importlib
import itertools

import numpy as np
import pytest

import keras_priors as kp
from keras_priors.predictive.acquire import acquire

module = importlib.import_module("keras_priors.predictive.acquire")
RNG = np.random.default_rng(2)
LOGITS = 2 * RNG.normal(size=(4, 5, 3))
CLASSES = kp.Predictive(LOGITS, kp.likelihoods.Categorical())
P = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=-1, keepdims=True)  # (draws, rows, classes)


def entropy(p):
    return -np.sum(p * np.log(np.where(p > 0, p, 1.0)), axis=-1)


def joint_information(p, rows):
    """I(y_rows; w) over all outcomes, one at a time."""
    outcomes = itertools.product(range(p.shape[-1]), repeat=len(rows))
    joint = np.array(
        [np.prod([p[:, r, c] for r, c in zip(rows, o, strict=True)], 0) for o in outcomes]
    )
    return entropy(joint.mean(axis=1)) - entropy(joint.T).mean()


def greedy(p, n):
    chosen = []
    for _ in range(n):
        rest = [r for r in range(p.shape[1]) if r not in chosen]
        chosen.append(max(rest, key=lambda r: joint_information(p, [*chosen, r])))
    return chosen


def test_single_rows_by_their_information_entropy_and_variance():
    bald = np.array([joint_information(P, [r]) for r in range(5)])
    assert list(acquire(CLASSES, 3)) == list(np.argsort(-bald)[:3])
    np.testing.assert_allclose(CLASSES.mutual_information, bald, atol=1e-6)
    assert list(acquire(CLASSES, 5, "entropy")) == list(np.argsort(-entropy(P.mean(axis=0))))
    assert list(acquire(CLASSES, 2, "variance")) == list(np.argsort(-P.var(0).sum(-1))[:2])
    numbers = kp.Predictive(LOGITS, kp.likelihoods.Normal(1.0))
    assert list(acquire(numbers, 5, "variance")) == list(np.argsort(-LOGITS.var(0).sum(-1)))


@pytest.mark.parametrize("seed", range(4))
def test_batches_by_brute_force(seed):
    logits = 2 * np.random.default_rng(seed).normal(size=(4, 5, 3))
    p = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    predictive = kp.Predictive(logits, kp.likelihoods.Categorical())
    assert list(acquire(predictive, 4, "batch_bald")) == greedy(p, 4)
    two = kp.Predictive(logits[..., 0], kp.likelihoods.Bernoulli())
    one = 1 / (1 + np.exp(-logits[..., 0]))
    assert list(acquire(two, 3, "batch_bald")) == greedy(np.stack([1 - one, one], -1), 3)


def test_a_batch_does_not_ask_the_same_twice():
    # Rows 0 and 1 are the same question, row 2 another that is a little less telling.
    signs = np.array([[1, 1, 1], [1, 1, -1], [-1, -1, 1], [-1, -1, -1]])
    draws = signs * np.array([6.0, 5.9, 4.0])
    predictive = kp.Predictive(draws, kp.likelihoods.Bernoulli())
    assert list(acquire(predictive, 2, "bald")) == [0, 1]
    assert list(acquire(predictive, 2, "batch_bald")) == [0, 2]


def test_sampled_outcomes_stand_for_all(monkeypatch):
    exact = greedy(P, 3)
    conditional = entropy(P).mean(axis=0)
    p = np.swapaxes(P, 0, 1)
    joint = np.einsum("sa,sb->abs", P[:, exact[0]], P[:, exact[1]]).reshape(-1, 4)
    found = module._joint_entropies(joint, np.ones(9), p) - conditional
    sampled = module._sampled(joint, np.ones(9), np.random.default_rng(0))
    estimated = module._joint_entropies(*sampled, p) - conditional
    # The same but for a constant; the standard error of a mean of 5000 numbers of order 1.
    difference = found - estimated
    np.testing.assert_allclose(difference, difference.mean(), atol=4 / np.sqrt(5000))
    monkeypatch.setattr(module, "_OUTCOMES", 300)
    many = kp.Predictive(np.tile(LOGITS, (1, 8, 1)), kp.likelihoods.Categorical())
    chosen = acquire(many, 30, "batch_bald")
    assert len(set(chosen)) == 30 and list(chosen[:3] % 5) == exact
    np.testing.assert_array_equal(chosen, acquire(many, 30, "batch_bald", seed=0))


def test_blocks_of_rows_do_not_show(monkeypatch):
    whole = acquire(CLASSES, 4, "batch_bald")
    monkeypatch.setattr(module, "_ELEMENTS", 9)  # three rows, then one
    np.testing.assert_array_equal(acquire(CLASSES, 4, "batch_bald"), whole)


def test_what_cannot_be_asked_is_refused():
    steps = kp.Predictive(np.zeros((2, 4, 3, 2)), kp.likelihoods.Categorical())
    labels = kp.Predictive(np.zeros((2, 4, 3)), kp.likelihoods.Bernoulli())
    numbers = kp.Predictive(LOGITS, kp.likelihoods.Normal(1.0))
    with pytest.raises(TypeError, match="Predictive"):
        acquire(LOGITS, 1)
    with pytest.raises(ValueError, match="`method` must be"):
        acquire(CLASSES, 1, "random")
    with pytest.raises(ValueError, match="at most the 5 rows"):
        acquire(CLASSES, 6)
    with pytest.raises(ValueError, match="one draw"):
        acquire(kp.Predictive(LOGITS[:1], kp.likelihoods.Categorical()), 1)
    for predictive in (steps, labels, numbers):
        for method in ("bald", "batch_bald", "entropy"):
            with pytest.raises(ValueError, match="one label for each row"):
                acquire(predictive, 1, method)
