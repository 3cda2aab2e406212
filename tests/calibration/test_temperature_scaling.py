import numpy as np
import pytest
from scipy import optimize
from scipy.special import log_softmax, logsumexp, softmax

from keras_priors import likelihoods
from keras_priors.calibration import TemperatureScaling
from keras_priors.predictive import Predictive

RNG = np.random.default_rng(0)


def drawn(logits):
    """A class for each row of logits."""
    return (logits + RNG.gumbel(size=logits.shape)).argmax(axis=-1)


TRUE = 1.5 * RNG.standard_normal((1000, 4))
Y = drawn(TRUE)
# Five draws that are too sure, each with an error of its own.
DRAWS = 3.0 * (TRUE + 0.5 * RNG.standard_normal((5, 1000, 4)))


def categorical(draws, **kwargs):
    return Predictive(draws, likelihoods.Categorical(**kwargs))


def nll(log_t, draws, y, of):
    t, rows = np.exp(log_t), np.arange(len(y))
    if of == "draws":
        each = log_softmax(draws / t, axis=-1)[:, rows, y]
        return np.log(len(draws)) - logsumexp(each, axis=0).mean()
    pooled = np.log(softmax(draws, axis=-1).mean(axis=0))
    return -log_softmax(pooled / t, axis=-1)[rows, y].mean()


@pytest.mark.parametrize("of", ["mean", "draws"])
@pytest.mark.parametrize("factor", [0.5, 1.0, 8.0])
def test_one_draw_that_is_too_sure_by_a_factor_gets_the_factor(of, factor):
    p = categorical(factor * TRUE[None])
    found = TemperatureScaling(of).fit(p, Y).temperature_
    # The standard error of 1/T, by the information of 1/T at the truth.
    prob = softmax(TRUE, axis=-1)
    spread = (prob * TRUE**2).sum(-1) - (prob * TRUE).sum(-1) ** 2
    assert abs(factor / found - 1.0) < 4.0 / np.sqrt(spread.sum())


@pytest.mark.parametrize("of", ["mean", "draws"])
def test_the_temperature_is_where_the_nll_of_the_mean_is_least(of):
    p = categorical(DRAWS)
    scaling = TemperatureScaling(of).fit(p, Y)
    best = optimize.minimize_scalar(nll, (-1.0, 1.0), args=(DRAWS, Y, of), options={"xtol": 1e-10})
    np.testing.assert_allclose(scaling.temperature_, np.exp(best.x), rtol=1e-6)
    scaled = scaling.transform(p)
    np.testing.assert_allclose(-scaled.log_prob(Y).mean(), best.fun, rtol=1e-5)
    assert best.fun < -p.log_prob(Y).mean() - 0.05
    assert scaled.num_samples == (1 if of == "mean" else 5)
    assert (scaled.mutual_information.mean() > 1e-3) == (of == "draws")


def test_the_mean_keeps_its_class_and_the_draws_their_likelihood():
    p = categorical(DRAWS)
    scaled = TemperatureScaling().fit(p, Y).transform(p)
    np.testing.assert_array_equal(scaled.probabilities.argmax(-1), p.probabilities.argmax(-1))
    mild = 0.2 * DRAWS  # given probabilities are known from Keras' epsilon on
    p, given = categorical(mild), categorical(softmax(mild, axis=-1), from_logits=False)
    for of in ("mean", "draws"):
        one, other = TemperatureScaling(of).fit(p, Y), TemperatureScaling(of).fit(given, Y)
        np.testing.assert_allclose(one.temperature_, other.temperature_, rtol=1e-4)
        np.testing.assert_allclose(
            one.transform(p).probabilities, other.transform(given).probabilities, atol=1e-4
        )


def test_two_classes_are_a_logistic_regression_without_an_intercept():
    linear_model = pytest.importorskip("sklearn.linear_model")
    logits = 4.0 * (TRUE[:500, 0] - TRUE[:500, 1])
    y = (RNG.uniform(size=500) < 1.0 / (1.0 + np.exp(-logits / 4.0))).astype("int64")
    p = Predictive(logits[None], likelihoods.Bernoulli())
    scaling = TemperatureScaling().fit(p, y)
    model = linear_model.LogisticRegression(C=1e9, fit_intercept=False, tol=1e-10)
    slope = model.fit(logits[:, None], y).coef_[0, 0]
    np.testing.assert_allclose(1.0 / scaling.temperature_, slope, rtol=1e-5)
    assert isinstance(scaling.temperature_, float)
    scaled = scaling.transform(p)
    assert scaled.draws.shape == (1, 500)
    np.testing.assert_allclose(
        scaled.probabilities, model.predict_proba(logits[:, None])[:, 1], rtol=1e-4, atol=1e-6
    )
    one_of_two = categorical(np.stack([0 * logits, logits], axis=-1)[None])
    np.testing.assert_allclose(
        TemperatureScaling().fit(one_of_two, y).temperature_, scaling.temperature_, rtol=1e-6
    )


@pytest.mark.parametrize("of", ["mean", "draws"])
def test_each_label_has_its_temperature_and_steps_share_one(of):
    logits = 1.5 * RNG.standard_normal((2, 400, 3, 2)) * [2.0, 5.0]
    y = (logits[0] / [2.0, 5.0] + RNG.logistic(size=(400, 3, 2)) > 0).astype("int64")
    both = TemperatureScaling(of).fit(Predictive(logits, likelihoods.Bernoulli()), y)
    assert both.temperature_.shape == (2,)
    for k in range(2):
        alone = Predictive(logits[..., k].reshape(2, 1200, 1), likelihoods.Bernoulli())
        alone = TemperatureScaling(of).fit(alone, y[..., k].reshape(1200, 1))
        np.testing.assert_allclose(both.temperature_[k], alone.temperature_, rtol=1e-6)
    scaled = both.transform(Predictive(logits, likelihoods.Bernoulli()))
    assert scaled.probabilities.shape == (400, 3, 2)
    steps = DRAWS.reshape(5, 500, 2, 4)
    flat = TemperatureScaling(of).fit(categorical(DRAWS), Y).temperature_
    in_steps = TemperatureScaling(of).fit(categorical(steps), Y.reshape(500, 2))
    np.testing.assert_allclose(in_steps.temperature_, flat, rtol=1e-6)
    assert in_steps.transform(categorical(steps)).probabilities.shape == (500, 2, 4)


def test_probabilities_that_are_0_and_1_in_float32():
    logits = (60.0 * TRUE).astype("float32")  # differences of some hundred
    p = categorical(logits[None])
    assert np.any(p.probabilities == 0.0)
    found = TemperatureScaling().fit(p, Y).temperature_
    np.testing.assert_allclose(
        found, 60.0 * TemperatureScaling().fit(categorical(TRUE[None]), Y).temperature_, rtol=1e-5
    )


def test_labels_in_any_form_and_a_class_that_cannot_be():
    masked = DRAWS.copy()
    masked[..., 3] = -np.inf
    rows = Y != 3
    p = categorical(masked[:, rows])
    found = TemperatureScaling().fit(p, Y[rows])
    np.testing.assert_array_equal(found.transform(p).probabilities[:, 3], 0.0)
    three = TemperatureScaling().fit(categorical(DRAWS[:, rows, :3]), Y[rows])
    np.testing.assert_allclose(found.temperature_, three.temperature_, rtol=1e-8)
    for y in (Y[rows][:, None], np.eye(4)[Y[rows]], Y[rows].tolist()):
        assert TemperatureScaling().fit(p, y).temperature_ == found.temperature_
    with pytest.raises(ValueError, match=r"Received: 1 outcomes of probability 0, first in row 2"):
        TemperatureScaling().fit(categorical(masked[:, :5]), [0, 1, 3, 0, 1])


@pytest.mark.parametrize("of", ["mean", "draws"])
def test_a_bound_is_said(of):
    p = categorical(np.repeat(TRUE[None, :50], 2, axis=0))
    with pytest.warns(UserWarning, match=r"stopped at the bound 0\.01. The calibration rows are"):
        assert TemperatureScaling(of).fit(p, TRUE[:50].argmax(-1)).temperature_ == 0.01
    with pytest.warns(UserWarning, match="bound 100. The predictions say nothing"):
        assert TemperatureScaling(of).fit(p, TRUE[:50].argmin(-1)).temperature_ == 100.0
    with pytest.warns(UserWarning, match="bound 0.01"):  # one row
        TemperatureScaling(of).fit(categorical(p.draws[:, :1]), TRUE[:1].argmax(-1))
    even = categorical(np.zeros((2, 6, 3)))
    with pytest.warns(UserWarning, match="Every temperature is as good"):
        assert TemperatureScaling(of).fit(even, [0] * 6).temperature_ == 1.0


@pytest.mark.parametrize(
    ("logits", "y", "best"),
    [
        # Draws that disagree, some of them by much; the other valley is near 0.45.
        (
            [
                [[0.1, 0.1, 0.6], [0.4, 0.2, 0.5], [72.0, 14.3, 16.9]],
                [[-49.3, 8.2, -0.1], [-43.3, -11.1, 24.6], [-2.9, 3.1, 1.1]],
            ],
            [2, 1, 0],
            31.5,
        ),
        # Near 13, where a search of the whole range ends.
        (
            [
                [[0.26, -0.28, 0.14, -0.3], [0.02, -0.18, 0.0, -0.22]],
                [[-0.08, 0.1, 0.04, 0.02], [-7.38, -18.88, -7.68, -4.4]],
            ],
            [1, 2],
            0.0315,
        ),
    ],
)
def test_the_lower_of_two_valleys(logits, y, best):
    logits, y = np.array(logits), np.array(y)
    found = TemperatureScaling("draws").fit(categorical(logits), y).temperature_
    np.testing.assert_allclose(found, best, rtol=0.02)
    grid = np.linspace(np.log(0.01), np.log(100.0), 401)
    assert nll(np.log(found), logits, y, "draws") <= min(nll(t, logits, y, "draws") for t in grid)


def test_draws_that_disagree_are_told_from_rows_without_a_mistake():
    """Each draw as sure as it may be is a vote, and all votes together are less sure than right."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], 50)
    logits = 3.0 * np.eye(3)[y] + rng.normal(size=(100, 150, 3))
    y[0] = 1
    p = categorical(logits)
    with pytest.warns(UserWarning, match=r"rows mistaken.*draws that disagree.*\(\"mean\"\)"):
        draws = TemperatureScaling("draws").fit(p, y)
    assert draws.temperature_ == pytest.approx(0.01)
    mean = TemperatureScaling().fit(p, y)
    of_mean, of_draws = (
        -np.log(t.transform(p).probabilities[np.arange(150), y]).mean() for t in (mean, draws)
    )
    assert of_mean < 0.8 * of_draws


def test_of_several_labels_the_one_whose_draws_disagree_is_named():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, (150, 2))
    sign = 2.0 * y - 1.0
    votes = 1.5 * sign[:, 1] + rng.normal(size=(100, 150))
    draws = np.stack([np.broadcast_to(2.0 * rng.normal(size=150), votes.shape), votes], axis=-1)
    y[:, 0] = rng.random(150) < 1.0 / (1.0 + np.exp(-draws[0, :, 0]))
    y[0, 1] = 1 - y[0, 1]
    with pytest.warns(UserWarning, match="temperature of label 1 .*draws that disagree"):
        found = TemperatureScaling("draws").fit(Predictive(draws, likelihoods.Bernoulli()), y)
    assert found.temperature_[1] == pytest.approx(0.01) and found.temperature_[0] > 0.5


def test_a_mean_that_is_nearly_even_is_not_told_of_its_draws():
    y = np.repeat([0, 1, 2], 50)
    logits = 0.005 * np.eye(3)[y][None]
    y[0] = 1
    with pytest.warns(UserWarning, match="rows mistaken.*logits or probabilities"):
        TemperatureScaling().fit(categorical(logits), y)
