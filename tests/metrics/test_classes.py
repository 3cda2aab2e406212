"""Metrics of probabilities: scikit-learn, closed forms, and what is degenerate."""

import numpy as np
import pytest
from sklearn import metrics as sk

import keras_priors as kp
from keras_priors import metrics as m

RNG = np.random.default_rng(3)
P = RNG.dirichlet(np.ones(4), size=300)
Y = np.array([RNG.choice(4, p=p**0.5 / (p**0.5).sum()) for p in P])
W = RNG.uniform(0.0, 2.0, 300) * (RNG.random(300) > 0.1)
TIED = np.round(P, 1) + np.array([1e-9, 0, 0, 0])
TIED /= TIED.sum(axis=1, keepdims=True)

CLASS_METRICS = [
    m.negative_log_predictive_density,
    m.brier_score,
    m.expected_calibration_error,
    m.maximum_calibration_error,
    m.adaptive_calibration_error,
    m.classwise_calibration_error,
    m.area_under_risk_coverage,
    m.accuracy_at_coverage,
    m.auroc,
    m.aupr,
]


def test_log_density_is_the_log_loss():
    found = m.negative_log_predictive_density(Y, P, sample_weight=W)
    np.testing.assert_allclose(found, sk.log_loss(Y, P, sample_weight=W), rtol=1e-10)
    certain = np.eye(4)[Y]
    assert m.negative_log_predictive_density(Y, certain) == 0.0
    assert m.negative_log_predictive_density((Y + 1) % 4, certain) == np.inf
    # A row of weight 0 counts nothing, though it is infinite.
    mixed = np.where(np.arange(300)[:, None] == 0, np.eye(4)[(Y + 1) % 4], P)
    one = (np.arange(300) > 0).astype(float)
    np.testing.assert_allclose(
        m.negative_log_predictive_density(Y, mixed, sample_weight=one),
        m.negative_log_predictive_density(Y[1:], P[1:]),
    )


def test_parts_of_the_brier_score_add_up():
    for p, weights in ((P, None), (TIED, W)):
        score = m.brier_score(Y, p, sample_weight=weights)
        kwargs = {"n_bins": None, "sample_weight": weights}
        parts = {k: m.brier_score(Y, p, part=k, **kwargs) for k in PARTS}
        total = parts["reliability"] - parts["resolution"] + parts["uncertainty"]
        np.testing.assert_allclose(total, score, rtol=1e-10)
        assert all(value > 0 for value in parts.values())
    # By hand: of two classes each counts the same.
    y, p = np.array([1, 0, 1, 1]), np.array([0.8, 0.8, 0.2, 0.2])
    assert m.brier_score(y, p, part="uncertainty") == pytest.approx(2 * 0.75 * 0.25)
    assert m.brier_score(y, p, part="reliability") == pytest.approx(0.3**2 + 0.8**2)
    assert m.brier_score(y, p, part="resolution") == pytest.approx(0.25**2 + 0.25**2)


PARTS = ("reliability", "resolution", "uncertainty")


def test_parts_of_bins_are_those_of_their_mean_probability():
    q = np.array([0.31, 0.33, 0.35, 0.9])
    y = np.array([1, 0, 0, 1])
    found = m.brier_score(y, q, part="reliability", n_bins=10)
    three, one = 3 * (0.33 - 1 / 3) ** 2, (0.9 - 1.0) ** 2
    np.testing.assert_allclose(found, 2 * (three + one) / 4, rtol=1e-10)


def gaps_of(confidence, event, weights, bins):
    total = []
    for b in np.unique(bins):
        inside = bins == b
        w = weights[inside]
        if w.sum() > 0:
            gap = abs((w * (event[inside] - confidence[inside])).sum()) / w.sum()
            total.append((w.sum() / weights.sum(), gap))
    return np.array(total).T


def test_calibration_errors_by_bins_one_at_a_time():
    confidence, right = P.max(axis=1), P.argmax(axis=1) == Y
    share, gap = gaps_of(confidence, right, W, np.ceil(confidence * 10))
    kwargs = {"n_bins": 10, "sample_weight": W}
    np.testing.assert_allclose(m.expected_calibration_error(Y, P, **kwargs), share @ gap)
    np.testing.assert_allclose(m.maximum_calibration_error(Y, P, **kwargs), gap.max())
    each = [gaps_of(P[:, c], c == Y, W, np.ceil(P[:, c] * 10)) for c in range(4)]
    np.testing.assert_allclose(
        m.classwise_calibration_error(Y, P, **kwargs), np.mean([s @ g for s, g in each])
    )


def test_an_edge_belongs_to_the_bin_below():
    p = np.array([[0.8, 0.2], [0.7, 0.3]])  # both in (0.6, 0.8]
    np.testing.assert_allclose(m.expected_calibration_error([0, 1], p, n_bins=5), 0.25)


def test_adaptive_bins_hold_equally_many():
    confidence, right = P.max(axis=1), P.argmax(axis=1) == Y
    ranks = np.argsort(np.argsort(confidence))
    share, gap = gaps_of(confidence, right, np.ones(300), ranks // 20)
    np.testing.assert_allclose(m.adaptive_calibration_error(Y, P, n_bins=15), share @ gap)
    # A weight of 2 is a row that is there twice, and the order of ties does not matter.
    twice = np.repeat(np.arange(300), 1 + (np.arange(300) % 3 == 0))
    weights = np.bincount(twice)
    shuffled = RNG.permutation(300)
    for p in (P, TIED):
        found = m.adaptive_calibration_error(Y[twice], p[twice])
        for order in (np.arange(300), shuffled):
            kwargs = {"sample_weight": weights[order]}
            again = m.adaptive_calibration_error(Y[order], p[order], **kwargs)
            np.testing.assert_allclose(again, found, rtol=1e-9)


@pytest.mark.parametrize("p", [P, TIED], ids=["distinct", "ties"])
@pytest.mark.parametrize("score", ["max_probability", "entropy"])
@pytest.mark.parametrize("weights", [None, W], ids=["alike", "weights"])
def test_rankings_are_those_of_scikit_learn(p, score, weights):
    wrong = p.argmax(axis=1) != Y
    entropy = -(p * np.log(np.where(p > 0, p, 1.0))).sum(axis=1)
    values = 1.0 - p.max(axis=1) if score == "max_probability" else entropy
    kwargs = {"score": score, "sample_weight": weights}
    expected = sk.roc_auc_score(wrong, values, sample_weight=weights)
    np.testing.assert_allclose(m.auroc(Y, p, **kwargs), expected, rtol=1e-9)
    expected = sk.average_precision_score(wrong, values, sample_weight=weights)
    np.testing.assert_allclose(m.aupr(Y, p, **kwargs), expected, rtol=1e-9)
    given = {"of": "y", "sample_weight": weights}
    np.testing.assert_allclose(m.aupr(wrong, values, **given), expected, rtol=1e-9)


def test_risk_coverage_one_row_after_the_other():
    for p in (P, TIED):
        doubt, wrong = 1.0 - p.max(axis=1), p.argmax(axis=1) != Y
        risks = [W[doubt <= d] @ wrong[doubt <= d] / W[doubt <= d].sum() for d in doubt]
        found = m.area_under_risk_coverage(Y, p, sample_weight=W)
        np.testing.assert_allclose(found, np.average(risks, weights=W), rtol=1e-9)
    order = np.argsort(1.0 - P.max(axis=1), kind="stable")
    first = (P.argmax(axis=1) == Y)[order][:150]
    np.testing.assert_allclose(m.accuracy_at_coverage(Y, P, 0.5), first.mean())
    np.testing.assert_allclose(m.accuracy_at_coverage(Y, P, 1.0), sk.accuracy_score(Y, P.argmax(1)))
    # All alike: any half has the accuracy of all.
    flat = np.tile([0.4, 0.3, 0.2, 0.1], (300, 1))
    np.testing.assert_allclose(m.accuracy_at_coverage(Y, flat, 0.3), np.mean(Y == 0))


def test_thresholds_put_scores_into_cells():
    p = np.linspace(0.5, 1.0, 101)[:-1] + 0.0025  # 1 - p in cells of 0.005 of its own
    p = np.stack([p, 1.0 - p], axis=1)
    y = (RNG.random(100) > p[:, 0]).astype(int)
    for metric in (m.auroc, m.aupr, m.area_under_risk_coverage, m.accuracy_at_coverage):
        np.testing.assert_allclose(metric(y, p, num_thresholds=100), metric(y, p), rtol=1e-9)
        assert metric(y, p, num_thresholds=3) != metric(y, p)
    exact = m.adaptive_calibration_error(y, p)
    np.testing.assert_allclose(m.adaptive_calibration_error(y, p, num_thresholds=200), exact)


def test_of_a_predictive_the_probabilities_count():
    logits = RNG.normal(size=(5, 60, 2, 3))
    y = RNG.integers(0, 3, (60, 2))
    p = kp.Predictive(logits, kp.likelihoods.Categorical())
    flat, weights = p.probabilities.reshape(-1, 3), RNG.random(60)
    for metric in CLASS_METRICS:
        expected = metric(y.ravel(), flat, sample_weight=np.repeat(weights, 2))
        for target in (y, np.eye(3)[y]):
            found = metric(target, p, sample_weight=weights)
            np.testing.assert_allclose(found, expected, rtol=1e-5)
    several = kp.Predictive(logits[..., 0], kp.likelihoods.Bernoulli())
    y = y > 1
    np.testing.assert_allclose(
        m.brier_score(y, several), m.brier_score(y.ravel(), several.probabilities.ravel())
    )
    one = kp.Predictive(logits[:, :, 0], kp.likelihoods.Categorical())
    np.testing.assert_allclose(
        m.auroc(y[:, 0], one, score="mutual_information", of="y"),
        sk.roc_auc_score(y[:, 0], one.mutual_information),
    )
    np.testing.assert_allclose(
        m.auroc(y[:, 0], one, score="mutual_information"),
        sk.roc_auc_score(one.probabilities.argmax(-1) != y[:, 0], one.mutual_information),
    )


@pytest.mark.parametrize("metric", CLASS_METRICS)
def test_one_row_one_class_and_certainty(metric):
    defined = metric not in (m.auroc, m.aupr)
    for y, p in (
        ([0], [[0.7, 0.3]]),
        ([0, 0, 0], [[0.7, 0.3]] * 3),
        ([1, 0], [[0.0, 1.0], [1.0, 0.0]]),
    ):
        found = metric(y, p)
        assert np.isfinite(found) if defined else np.isnan(found)
        assert isinstance(found, float)
    perfect, opposite = np.eye(4)[Y], np.eye(4)[(Y + 1) % 4]
    best = 1.0 if metric is m.accuracy_at_coverage else 0.0
    if defined:
        assert metric(Y, perfect) == best
        assert metric(Y, opposite) > 0.4 or metric is m.accuracy_at_coverage


@pytest.mark.parametrize("metric", CLASS_METRICS)
def test_what_is_no_number_is_refused(metric):
    nan = np.where(np.arange(300)[:, None] == 5, np.nan, P)
    with pytest.raises(ValueError, match="probabilities"):
        metric(Y, nan)
    with pytest.raises(ValueError, match="integer labels"):
        metric(np.where(np.arange(300) == 5, np.nan, Y), P)
    for weights, match in (
        (np.full(300, np.nan), "NaN"),
        (-W, "not negative"),
        (np.zeros(300), "above 0"),
        (W[:7], "one number for each row"),
    ):
        with pytest.raises(ValueError, match=match):
            metric(Y, P, sample_weight=weights)


def test_what_has_no_meaning_is_refused():
    with pytest.raises(ValueError, match="`part` must be"):
        m.brier_score(Y, P, part="bias")
    with pytest.raises(ValueError, match="`of` must be"):
        m.auroc(Y, P, of="labels")
    with pytest.raises(ValueError, match="1 or 0"):
        m.auroc(Y, P.max(axis=1), of="y")
    with pytest.raises(ValueError, match="Give a Predictive"):
        m.auroc(Y, P, score="mutual_information")
    with pytest.raises(ValueError, match="known bounds"):
        m.auroc(Y > 1, 3.0 * P.max(axis=1), of="y", num_thresholds=10)
    with pytest.raises(ValueError, match="NaN"):
        m.auroc(Y > 1, np.full(300, np.nan), of="y")
    with pytest.raises(ValueError, match="coverage"):
        m.accuracy_at_coverage(Y, P, 1.5)
    with pytest.raises(ValueError, match="one-hot"):
        soft = kp.Predictive(np.zeros((1, 300, 4)), kp.likelihoods.Categorical())
        m.brier_score(P, soft)
