import numpy as np
import pytest

from keras_priors import likelihoods
from keras_priors.calibration import SplitConformalClassifier
from keras_priors.predictive import Predictive
from tests.calibration.test_split_conformal_regressor import check_coverage

RNG = np.random.default_rng(0)
SPLITS, ROWS, NEW, CLASSES = 1000, 25, 40, 4


def predicted(rows):
    """Steps are simulated splits."""
    p = RNG.dirichlet(np.full(CLASSES, 0.5), (2, rows, SPLITS))
    return Predictive(p, likelihoods.Categorical(from_logits=False))


def came_true(predictive):
    """Flatter than was predicted, and with the last class too often."""
    p = np.sqrt(predictive.probabilities) + np.array([0.0, 0.0, 0.0, 0.5])
    edges = np.cumsum(p / p.sum(-1, keepdims=True), axis=-1)[..., :-1]
    return (RNG.uniform(size=p.shape[:-1])[..., None] > edges).sum(-1)


def held(sets, y):
    return np.take_along_axis(sets, y[..., None], axis=-1)[..., 0]


@pytest.mark.parametrize("score", ["lac", "aps", "raps"])
@pytest.mark.parametrize("coverage", [0.8, 0.9])
def test_coverage_over_simulated_splits_is_the_known_one(score, coverage):
    calibration, new = predicted(ROWS), predicted(NEW)
    conformal = SplitConformalClassifier(score, coverage=coverage, seed=0, free_rank=2)
    conformal.fit(calibration, came_true(calibration))
    assert conformal.threshold_.shape == (SPLITS,)
    sets = conformal.predict(new)
    assert sets.shape == (NEW, SPLITS, CLASSES)
    check_coverage(held(sets, came_true(new)), coverage, ROWS)


@pytest.mark.parametrize("score", ["lac", "aps", "raps"])
def test_each_class_is_covered_where_that_is_asked_for(score):
    calibration, new = predicted(100), predicted(NEW)
    y, y_new = came_true(calibration), came_true(new)
    options = {"coverage": 0.7, "seed": 0, "free_rank": 2}
    conformal = SplitConformalClassifier(score, class_conditional=True, **options)
    conformal.fit(calibration, y)
    assert conformal.threshold_.shape == (SPLITS, CLASSES)
    inside = held(conformal.predict(new), y_new)
    marginal = SplitConformalClassifier(score, **options).fit(calibration, y)
    plain = held(marginal.predict(new), y_new)
    for c in range(CLASSES):
        count = (y == c).sum(axis=0)
        right = np.ceil((count + 1) * 0.7 - 1e-9) / (count + 1)
        off = np.ma.masked_array(inside - right, y_new != c).mean(axis=0).compressed()
        assert abs(off.mean()) < 4 * off.std() / np.sqrt(len(off))
    last = y_new == CLASSES - 1
    assert plain[last].mean() < 0.68  # what the marginal thresholds leave out


def scores_written_out(p, score, penalty=0.0, free=0, u=0.0):
    found = np.empty_like(p)
    for row, each in enumerate(p):
        if score == "lac":
            found[row] = 1.0 - each
            continue
        for c in range(len(each)):
            more = each > each[c]
            found[row, c] = each[more].sum() + u * each[c]
            found[row, c] += penalty * max(0, more.sum() + 1 - free)
    return found


@pytest.mark.parametrize("score", ["lac", "aps", "raps"])
def test_the_scores_written_out(score):
    draws = RNG.dirichlet(np.ones(5), (3, 30))
    p = Predictive(draws, likelihoods.Categorical(from_logits=False))
    y = RNG.integers(5, size=30)
    conformal = SplitConformalClassifier(
        score, coverage=0.75, randomized=False, penalty=0.2, free_rank=2
    ).fit(p, y)
    settings = (0.2, 2) if score == "raps" else (0.0, 0)
    scores = scores_written_out(p.probabilities, score, *settings)
    threshold = np.sort(scores[np.arange(30), y])[23]  # the 24th: 31 * 0.75 = 23.25
    np.testing.assert_allclose(conformal.threshold_, threshold, rtol=1e-12)
    assert isinstance(conformal.threshold_, float)
    clear = np.abs(scores - threshold) > 1e-9
    sets = conformal.predict(p)
    np.testing.assert_array_equal(sets[clear], (scores <= threshold)[clear])
    assert held(sets, y).sum() == 24


def test_the_sets_are_those_of_mapie():
    mapie = pytest.importorskip("mapie.classification")
    aps = pytest.importorskip("mapie.conformity_scores.sets.aps")
    base = pytest.importorskip("sklearn.base")

    class Given(base.ClassifierMixin, base.BaseEstimator):
        """Its input is the probabilities."""

        def fit(self, x, y):
            self.classes_ = np.arange(4)
            return self

        def predict_proba(self, x):
            return x

        def predict(self, x):
            return x.argmax(axis=-1)

    p, new = (
        Predictive(RNG.dirichlet(np.ones(4), (2, n)), likelihoods.Categorical(from_logits=False))
        for n in (60, 30)
    )
    # As they are to them: probabilities with the sum 1.
    x, x_new = (each.probabilities / each.probabilities.sum(-1, keepdims=True) for each in (p, new))
    p, new = (Predictive(each[None], p.likelihood) for each in (x, x_new))
    y = RNG.integers(4, size=60)
    theirs = mapie.SplitConformalClassifier(
        Given().fit(x, y), confidence_level=0.8, conformity_score="lac", prefit=True
    )
    _, expected = theirs.conformalize(x, y).predict_set(x_new)
    found = SplitConformalClassifier("lac", coverage=0.8).fit(p, y).predict(new)
    np.testing.assert_array_equal(found, expected[..., 0])
    # Of the others their scores of the calibration rows: they draw u from another generator.
    theirs, _ = aps.APSConformityScore.get_true_label_cumsum_proba(y, p.probabilities, np.arange(4))
    theirs = theirs.ravel() - p.probabilities[np.arange(60), y]  # where u is 1, as theirs counts
    found = SplitConformalClassifier("aps", coverage=0.8, randomized=False).fit(p, y)
    np.testing.assert_allclose(found.threshold_, np.sort(theirs)[48], rtol=1e-12)


def test_u_is_drawn_anew_or_by_the_seed():
    p = Predictive(RNG.standard_normal((1, 50, 3)), likelihoods.Categorical())
    y = RNG.integers(3, size=50)
    fresh = SplitConformalClassifier("aps", coverage=0.6).fit(p, y)
    assert not np.array_equal(fresh.predict(p), fresh.predict(p))
    fixed = SplitConformalClassifier("aps", coverage=0.6, seed=3).fit(p, y)
    again = SplitConformalClassifier("aps", coverage=0.6, seed=3).fit(p, y)
    assert fixed.threshold_ == again.threshold_
    np.testing.assert_array_equal(fixed.predict(p), again.predict(p))
    # The u of `predict` is not that of `fit`: else its own rows would be held too exactly.
    assert held(fixed.predict(p), y).sum() != np.ceil(51 * 0.6)


@pytest.mark.parametrize("score", ["lac", "aps", "raps"])
def test_one_output_of_bernoulli_is_two_classes(score):
    logits = RNG.standard_normal((3, 80))
    y = RNG.integers(2, size=80)
    one = Predictive(logits, likelihoods.Bernoulli())
    two = Predictive(np.stack([0 * logits, logits], axis=-1), likelihoods.Categorical())
    column = Predictive(logits[..., None], likelihoods.Bernoulli())
    settings = {"coverage": 0.8, "seed": 1}
    found = [SplitConformalClassifier(score, **settings).fit(p, y) for p in (one, two, column)]
    for each in found:
        np.testing.assert_allclose(each.threshold_, found[0].threshold_, rtol=1e-6)
    sets = [each.predict(p) for each, p in zip(found, (one, two, column), strict=True)]
    assert sets[0].shape == sets[1].shape == (80, 2)
    assert sets[2].shape == (80, 1, 2)
    assert np.mean(sets[0] == sets[1]) > 0.99  # but for a score at the threshold
    np.testing.assert_array_equal(sets[0], sets[2][:, 0])


def test_labels_and_steps_are_calibrated_each_by_itself():
    logits = 2.0 * RNG.standard_normal((2, 40, 3, 2))
    y = RNG.integers(2, size=(40, 3, 2))
    p = Predictive(logits, likelihoods.Bernoulli())
    for conditional in (False, True):
        settings = {"coverage": 0.7, "class_conditional": conditional}
        both = SplitConformalClassifier(**settings).fit(p, y)
        assert both.threshold_.shape == ((3, 2, 2) if conditional else (3, 2))
        sets = both.predict(p)
        assert sets.shape == (40, 3, 2, 2)
        alone = Predictive(logits[:, :, 1, 1], likelihoods.Bernoulli())
        one = SplitConformalClassifier(**settings).fit(alone, y[:, 1, 1])
        np.testing.assert_allclose(both.threshold_[1, 1], one.threshold_, rtol=1e-6)
        np.testing.assert_array_equal(sets[:, 1, 1], one.predict(alone))


def test_too_few_rows_give_full_sets_and_a_word():
    p = Predictive(np.zeros((1, 9, 3)), likelihoods.Categorical())
    y = [0] * 7 + [1, 1]
    assert np.isfinite(SplitConformalClassifier().fit(p, y).threshold_)
    with pytest.warns(UserWarning, match="0.95 takes at least 19 calibration rows. Received: 9"):
        conformal = SplitConformalClassifier(coverage=0.95).fit(p, y)
    assert conformal.predict(p).all()
    with pytest.warns(
        UserWarning,
        match=r"0\.8 takes at least 4 .* 2 rows of class 1, too few of each of \[1, 2\]",
    ):
        conformal = SplitConformalClassifier(coverage=0.8, class_conditional=True).fit(p, y)
    np.testing.assert_array_equal(np.isinf(conformal.threshold_), [False, True, True])
    assert conformal.predict(p)[:, 1:].all()


def test_probabilities_0_and_1_ties_and_sets_without_a_class():
    sure = Predictive(np.eye(3)[None, [0, 1, 2] * 4], likelihoods.Categorical(from_logits=False))
    right = [0, 1, 2] * 4
    for score in ("lac", "aps", "raps"):
        conformal = SplitConformalClassifier(score, coverage=0.9, randomized=False).fit(sure, right)
        np.testing.assert_array_equal(conformal.predict(sure), np.eye(3)[right] == 1)
    # One wrong row of twelve: the twelfth score of thirteen is that of the impossible.
    wrong = [1, *right[1:]]
    assert SplitConformalClassifier(coverage=0.9).fit(sure, wrong).predict(sure).all()
    even = Predictive(np.full((1, 12, 3), 0.0), likelihoods.Categorical())
    conformal = SplitConformalClassifier(coverage=0.9).fit(sure, right)
    assert not conformal.predict(even).any()
    assert SplitConformalClassifier(coverage=0.9).fit(even, right).predict(even).all()


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"score": "top"}, ValueError, "`score` must be one of"),
        ({"coverage": 1.0}, ValueError, "`coverage` of SplitConformalClassifier"),
        ({"randomized": 1}, TypeError, "`randomized` of SplitConformalClassifier"),
        ({"class_conditional": "yes"}, TypeError, "`class_conditional`"),
        ({"penalty": -1.0}, ValueError, "`penalty` of SplitConformalClassifier"),
        ({"free_rank": 0}, ValueError, "`free_rank` of SplitConformalClassifier"),
        ({"seed": -1}, ValueError, "`seed` of SplitConformalClassifier"),
    ],
)
def test_arguments_are_checked(arguments, error, match):
    with pytest.raises(error, match=match):
        SplitConformalClassifier(**arguments)
