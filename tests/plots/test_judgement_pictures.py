"""What is drawn of calibration, of errors and of fits is counted right."""

import keras
import numpy as np
import pytest
from matplotlib import pyplot as plt
from scipy import stats
from sklearn.calibration import calibration_curve
from sklearn.metrics import confusion_matrix

import keras_priors as kp
from tests.plots import _inputs as inputs


def test_reliability_is_that_of_scikit_learn_with_the_counts_below():
    rng = np.random.default_rng(0)
    p = rng.uniform(size=300)
    y = (rng.uniform(size=300) < p**2).astype(int)
    ax = kp.plots.reliability_diagram(y, p, n_bins=8, of_class=1)
    frequency, mean = calibration_curve(y, p, n_bins=8)
    x, found = ax.lines[-1].get_data()
    np.testing.assert_allclose(x, mean)
    np.testing.assert_allclose(found, frequency)
    count, _ = np.histogram(p, 8, (0, 1))
    np.testing.assert_allclose(
        [bar.get_height() for bar in ax.patches], 0.62 * 0.24 * count / count.max()
    )
    assert [int(t.get_text()) for t in ax.texts] == list(count)
    error_bars = ax.collections[0].get_segments()
    for segment, k, n in zip(error_bars, np.round(frequency * count), count, strict=True):
        exact = stats.binomtest(int(k), int(n)).proportion_ci(0.9, "wilson")
        np.testing.assert_allclose(segment[:, 1], [exact.low, exact.high], atol=1e-6)


def test_reliability_of_the_predicted_class_and_a_second_line():
    y, predictive = inputs.classes()
    ax = kp.plots.reliability_diagram(y, predictive, label="a")
    p = predictive.probabilities
    ece = kp.metrics.expected_calibration_error(y, p, n_bins=10)
    count = np.array([int(t.get_text()) for t in ax.texts])
    x, frequency = ax.lines[-1].get_data()
    assert np.sum(count * np.abs(frequency - x)) / len(y) == pytest.approx(ece)
    bars, lines = len(ax.patches), len(ax.lines)
    kp.plots.reliability_diagram(np.eye(3)[y], predictive, label="b", ax=ax)
    assert len(ax.patches) == bars
    assert len(ax.lines) - lines < lines
    texts = [t.get_text() for t in ax.get_legend().get_texts()]
    assert texts == ["perfect calibration", "a", "90% interval", "b", "how many predictions"]


def test_pit_values_of_right_predictions_are_level_and_of_wide_ones_a_hill():
    rng = np.random.default_rng(0)
    y = rng.normal(size=(2000, 1))
    heights = {}
    for scale in (1.0, 3.0):
        p = kp.Predictive(np.zeros((1, 2000, 1)), kp.likelihoods.Normal(scale))
        ax = kp.plots.pit_histogram(y, p, n_bins=5)
        heights[scale] = np.array([bar.get_height() for bar in ax.patches[:5]])
        known, _ = np.histogram(stats.norm.cdf(y / scale), 5, (0, 1), density=True)
        np.testing.assert_allclose(heights[scale], known, atol=0.01)
    assert np.abs(heights[1.0] - 1).max() < 0.1
    assert heights[3.0][2] > 2
    # The band: nine of ten counts of 2000 with the share 1/5.
    band = ax.patches[5].get_extents().transformed(ax.transData.inverted())
    low, high = stats.binom(2000, 0.2).ppf([0.05, 0.95]) * 5 / 2000
    np.testing.assert_allclose([band.y0, band.y1], [low, high], rtol=1e-6)


def test_risk_at_coverage_is_the_mean_of_the_most_certain_and_its_area_the_metric():
    y, predictive = inputs.classes(50)
    p = predictive.probabilities
    wrong = p.argmax(axis=1) != y
    ax = kp.plots.risk_coverage(y, predictive, label="a")
    coverage, risk = ax.lines[-1].get_data()
    order = np.argsort(-p.max(axis=1))
    np.testing.assert_allclose(risk, np.cumsum(wrong[order]) / np.arange(1, 51))
    np.testing.assert_allclose(coverage, np.arange(1, 51) / 50)
    area = kp.metrics.area_under_risk_coverage(y, predictive)
    assert risk.mean() == pytest.approx(area)
    best = ax.lines[-2].get_ydata()
    assert np.all(best <= risk + 1e-12)
    assert ax.lines[0].get_ydata()[0] == pytest.approx(wrong.mean())
    lines = len(ax.lines)
    kp.plots.risk_coverage(y, p, score=np.ones(50), ax=ax)
    assert ax.lines[-1].get_ydata() == pytest.approx(wrong.mean())  # all rows come together
    assert len(ax.lines) == lines + 1  # of the same predictions the random and best order are one
    texts = [t.get_text() for t in ax.get_legend().get_texts()]
    assert texts == ["a random order", "the best order", "a"]
    kp.plots.risk_coverage(np.roll(y, 1), p, label="b", ax=ax)  # others have their own, unnamed
    assert len(ax.lines) == lines + 4
    texts = [t.get_text() for t in ax.get_legend().get_texts()]
    assert texts == ["a random order", "the best order", "a", "b"]
    assert [t.get_text() for t in kp.plots.risk_coverage(y, p).get_legend().get_texts()] == texts[
        :2
    ]
    # A score by its name orders as it does in the metric; of probabilities those that they have.
    for given, score in (
        (predictive, "mutual_information"),
        (predictive, "entropy"),
        (p, "entropy"),
    ):
        line = kp.plots.risk_coverage(y, given, score=score).lines[-1].get_ydata()
        area = kp.metrics.area_under_risk_coverage(y, given, score=score)
        assert line.mean() == pytest.approx(area)
    with pytest.raises(ValueError, match='must be "entropy", "max_probability" or an array'):
        kp.plots.risk_coverage(y, p, score="mutual_information")
    with pytest.raises(ValueError, match="one number for each of the 50 rows"):
        kp.plots.risk_coverage(y, p, score=[1.0])


def test_risk_of_a_regression_is_the_squared_error():
    x, y, predictive = inputs.regression(20)
    ax = kp.plots.risk_coverage(y, predictive)
    squares = ((predictive.mean - y) ** 2)[:, 0]
    order = np.argsort(predictive.total[:, 0], kind="stable")
    risk = ax.lines[-1].get_ydata()
    assert risk[-1] == pytest.approx(squares.mean())
    ends = np.round(ax.lines[-1].get_xdata() * 20).astype(int)
    np.testing.assert_allclose(risk, [squares[order][:n].mean() for n in ends])
    with pytest.raises(ValueError, match="needs a likelihood"):
        kp.plots.risk_coverage(y, kp.Predictive(predictive.draws))
    kp.plots.risk_coverage(y, kp.Predictive(predictive.draws), score=np.abs(x))


def test_confusion_is_that_of_scikit_learn_on_each_side():
    y, predictive = inputs.classes(101)
    axes = kp.plots.confusion_matrix(y, predictive, certain=0.3)
    order = np.argsort(predictive.entropy, kind="stable")
    guess = predictive.probabilities.argmax(axis=1)
    for ax, rows in zip(axes, (order[:30], order[30:]), strict=True):
        known = confusion_matrix(y[rows], guess[rows], labels=range(3), normalize="true")
        np.testing.assert_allclose(ax.images[0].get_array(), known)
        shown = [int(t.get_text()) for t in ax.texts]
        assert shown == [round(100 * v) for v in known.ravel() if v >= 0.005]
        right = f"{np.mean(y[rows] == guess[rows]):.0%} right"
        how = "more" if len(rows) == 30 else "less"
        assert ax.get_title() == f"{len(rows)} {how} certain rows\n{right}"
        assert ax.get_xlabel() == "predicted\n(% of the true class)"
    assert axes[0].get_ylabel() == "true"


def test_many_classes_have_a_bar_of_colours_in_the_place_of_numbers():
    for number, bars in ((12, 0), (13, 1)):
        axes = kp.plots.confusion_matrix(*inputs.classes(60, 2, number))
        others = [one for one in axes[0].figure.axes if one not in axes]
        assert [one.get_ylabel() for one in others] == ["% of the true class"] * bars
        assert bool(axes[0].texts) == (not bars)
    assert [t.get_text() for t in others[0].get_yticklabels()] == ["0%", "50%", "100%"]
    assert axes[0].images[0].get_clim() == axes[1].images[0].get_clim() == (0.0, 1.0)


def test_training_curves_are_the_logs():
    ax = kp.plots.training_curves(inputs.HISTORY)
    drawn = {line.get_label(): line.get_ydata() for line in ax.lines}
    assert list(drawn["their sum: −elbo"]) == [2.0, 1.4, 1.1, 1.0]
    assert list(drawn["misfit: nll, validation"]) == inputs.HISTORY["val_nll"]
    assert list(ax.lines[0].get_xdata()) == [1, 2, 3, 4]
    late = kp.plots.training_curves({"loss": [3.0, 2.0, 1.0, 0.5], "val_loss": [2.5, 0.7]})
    assert list(late.lines[1].get_xdata()) == [2, 4]

    class History:
        history = inputs.HISTORY

    assert len(kp.plots.training_curves(History()).lines) == 6


@pytest.mark.parametrize("logs", [{}, {"loss": []}, {"accuracy": [1.0]}])
def test_histories_that_say_nothing(logs):
    with pytest.raises(ValueError, match="at least one epoch"):
        kp.plots.training_curves(logs)
    with pytest.raises(TypeError, match="Received: list"):
        kp.plots.training_curves([1.0])


def test_a_table_is_drawn_with_the_best_hollow_and_its_standard_errors():
    errors = {"MAP": {"nll": 0.01}, "NUTS": {"nll": 0.02}}
    axes = kp.plots.compare(kp.inference.Table(inputs.TABLE, errors))
    assert [ax.get_title() for ax in axes] == ["nll", "accuracy", "coverage", "fit_s"]
    for ax, best in zip(axes[:3], (2, 1, 2), strict=True):
        name = ax.get_title()
        dots = [line for line in ax.lines if line.get_marker() == "o"]
        assert list(dots[0].get_xdata()) == [row[name] for row in inputs.TABLE.values()]
        assert dots[1].get_ydata()[0] == best
        assert dots[1].get_markerfacecolor() == "white"
    bar = axes[0].collections[0].get_segments()[2]
    np.testing.assert_allclose(bar[:, 0], [0.39 - 0.04, 0.39 + 0.04])
    assert axes[3].get_xscale() == "log"
    assert "log" not in {ax.get_xscale() for ax in axes[:3]}
    (ax,) = kp.plots.compare({"a": {"nll": 1.0}, "b": {"rmse": 2.0}}, "nll")
    assert np.isnan(ax.lines[0].get_xdata()[1])
    assert [(t.get_text(), t.get_position()[1]) for t in ax.texts] == [("–", 1)]
    with pytest.raises(ValueError, match="brier"):
        kp.plots.compare(inputs.TABLE, ["brier"])
    with pytest.raises(ValueError, match="Received: none"):
        kp.plots.compare({})
    with pytest.raises(TypeError, match="Received: list"):
        kp.plots.compare([1])


def _texts(legend):
    return [text.get_text() for text in legend.get_texts()]


def test_the_table_says_which_way_is_better_and_what_dots_and_bars_are():
    errors = {"MAP": {"nll": 0.01}, "NUTS": {"nll": 0.02}}
    axes = kp.plots.compare(kp.inference.Table(inputs.TABLE, errors))
    lower, higher = "← lower is better", "higher is better →"
    words = [lower, higher, "nearest to 0.9 is best", "seconds"]
    assert [ax.get_xlabel() for ax in axes] == words
    (legend,) = axes[0].figure.legends
    assert sorted(_texts(legend)) == ["the best", "± two standard errors"]
    plain = kp.plots.compare(inputs.TABLE)  # no errors, no bars
    assert _texts(plain[0].figure.legends[0]) == ["the best"]
    assert kp.plots.compare(inputs.TABLE, "fit_s")[0].figure.legends == []
    figure, own = plt.subplots(1, 4)
    kp.plots.compare(inputs.TABLE, ax=own)
    assert figure.legends == []
    (width,) = kp.plots.compare({"a": {"width": 1.0}})
    assert width.get_xlabel() == "← lower is better at equal coverage"
    # Whoever is as good as the best is hollow too.
    (ax,) = kp.plots.compare(
        {k: {"accuracy": v} for k, v in zip("abc", (0.9, 0.8, 0.9), strict=True)}
    )
    assert list(ax.lines[-1].get_ydata()) == [0, 2]


@pytest.mark.parametrize(("sign", "name", "edge"), [(1, "nll", "right"), (-1, "elpd_loo", "left")])
def test_a_very_bad_candidate_does_not_press_the_others_into_one_place(sign, name, edge):
    numbers = {"a": 0.52, "bad": 300.0, "c": 0.41, "d": 0.39, "none": np.inf}
    errors = {"c": {name: 0.02}, "bad": {name: 40.0}}
    table = {k: {name: sign * v} for k, v in numbers.items()}
    (ax,) = kp.plots.compare(kp.inference.Table(table, errors))
    low, high = ax.get_xlim()
    kept = [sign * numbers[k] for k in "acd"]
    assert low < min(kept) < max(kept) < high
    assert max(kept) - min(kept) > 0.5 * (high - low)
    (arrows,) = [line for line in ax.lines if line.get_label() == "far off: its number"]
    assert list(arrows.get_ydata()) == [1, 4]
    assert arrows.get_marker() == (">" if sign > 0 else "<")
    place = ax.transData.inverted().transform(arrows.get_transform().transform([[0.5, 1]]))
    assert place[0, 1] == pytest.approx(1.0)  # across by the axes, up by the rows
    assert {edge} == {"right" if x > 0.5 else "left" for x in arrows.get_xdata()}
    assert all(0.0 < x < 1.0 for x in arrows.get_xdata())
    said = [f"{sign * 300:g} ± 80", f"{sign * np.inf:g}"]
    assert [t.get_text() for t in ax.texts] == said
    assert [t.get_position()[1] for t in ax.texts] == [1, 4]
    assert "far off: its number" in _texts(ax.figure.legends[0])


@pytest.mark.parametrize(
    ("numbers", "far"),
    [
        ([0.5, 300.0], []),  # two are at the two ends of any axis
        ([0.39, 0.392, 0.52], []),  # not worse by half: a usual table
        ([0.4, 0.404, 0.59], []),
        ([0.4, 0.404, 0.61], [2]),
        ([0.5, 0.5, 0.76], [2]),  # nothing between the best two is blown up
        ([0.4, 0.5, 1.3], []),  # nine times the distance of the others
        ([0.4, 0.5, 1.5], [2]),
        ([0.4, 0.41, 25.0, 300.0], [2, 3]),
        ([0.4, 25.0, 30.0, 300.0], [3]),
        ([0.4, 0.41, 25.0, 26.0, 27.0], []),  # of five, three are kept
        ([0.0, 0.0, 0.0, 1.0], []),
        ([np.nan, 0.4, 0.41, 300.0], [3]),
    ],
)
def test_who_is_far_off(numbers, far):
    (ax,) = kp.plots.compare({str(k): {"nll": v} for k, v in enumerate(numbers)})
    arrows = [line for line in ax.lines if line.get_label() == "far off: its number"]
    assert [row for line in arrows for row in line.get_ydata()] == far
    low, high = ax.get_xlim()
    kept = [v for k, v in enumerate(numbers) if k not in far and np.isfinite(v)]
    assert low <= min(kept) <= max(kept) <= high


def test_bars_that_fill_the_axis_leave_nobody_off_it():
    rows = {k: {"nll": v} for k, v in zip("abc", (0.4, 0.41, 1.0), strict=True)}
    for error, number in ((0.05, 0), (0.001, 1)):
        (ax,) = kp.plots.compare(kp.inference.Table(rows, {"a": {"nll": error}}))
        assert len([line for line in ax.lines if "far off" in str(line.get_label())]) == number


def test_traces_are_the_chains():
    posterior = inputs.chains()
    axes = kp.plots.trace(posterior, "line/kernel")
    words = [[ax.get_xlabel() for ax in line] for line in axes]
    assert words == [["", ""], ["value; a line is a chain", "draw"]]
    assert [ax.get_ylabel() for ax in axes[:, 0]] == ["density"] * 2
    some = kp.plots.trace(posterior, most=2)[-1, 1].get_xlabel()
    assert some == "draw\n(2 of 3 weights)"
    (one,) = kp.plots.rank(posterior, "line/kernel", most=1)
    assert one.get_xlabel() == "rank among all chains\n(1 of 2 weights)"
    of_rows = kp.plots.rank(posterior, x=np.ones((9, 2), "float32"), most=2)[-1].get_xlabel()
    assert of_rows == "rank among all chains\n(2 numbers of the predictions)"
    assert axes.shape == (2, 2)
    draws = posterior.draws()["line/kernel"].reshape(2, 40, 2)
    for k, (_, moved) in enumerate(axes):
        for chain, line in enumerate(moved.lines[:2]):
            np.testing.assert_allclose(line.get_ydata(), draws[chain, :, k])


def test_densities_are_those_of_the_draws_up_to_their_bounds():
    draws = np.random.default_rng(0).normal(size=(2, 4000, 2, 1)).astype("float32")
    draws[:, :, 1] = np.abs(draws[:, :, 1])
    draws[1, :, 0] = 3.0  # it stood still
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, use_bias=False)])
    posterior = kp.inference.SamplePosterior(model, kp.likelihoods.Normal(1.0), [draws])
    (whole, half), _ = kp.plots.trace(posterior).T
    for line, family in ((whole.lines[0], stats.norm), (half.lines[0], stats.halfnorm)):
        at, density = line.get_data()
        np.testing.assert_allclose(density, family.pdf(at), atol=0.06)
        assert density.sum() * (at[1] - at[0]) == pytest.approx(1.0)
    assert list(whole.lines[1].get_xdata()) == [3.0, 3.0]


def test_ranks_are_those_among_all_chains():
    posterior = inputs.chains()
    (ax,) = kp.plots.rank(posterior, "line/bias")
    draws = posterior.draws()["line/bias"].reshape(2, 40)
    ranks = stats.rankdata(draws).reshape(2, 40)
    heights = np.array([bar.get_height() for bar in ax.patches]).reshape(2, -1)
    edge = np.linspace(0.5, 80.5, heights.shape[1] + 1)  # as many ranks in each, to one
    for chain in range(2):
        count, _ = np.histogram(ranks[chain], edge)
        np.testing.assert_allclose(heights[chain], count, atol=1e-9)
    # A level histogram ends at its line.
    bottoms = sorted({bar.get_y() for bar in ax.patches})
    lines = [line.get_ydata()[0] for line in ax.lines]
    np.testing.assert_allclose(np.subtract(lines, bottoms), 40 / heights.shape[1])


def test_chains_of_predictions_and_what_has_none():
    posterior = inputs.chains()
    axes = kp.plots.rank(posterior, x=np.eye(2, dtype="float32"), most=2)
    assert [ax.get_title() for ax in axes] == ["mean[0, 0]", "mean[1, 0]"]
    point = kp.inference.PointPosterior(
        posterior.model, posterior.likelihood, [posterior.mean()[p] for p in posterior.paths]
    )
    figures = plt.get_fignums()
    for draw in (kp.plots.trace, kp.plots.rank):
        with pytest.raises(TypeError, match="Received: PointPosterior"):
            draw(point)
        with pytest.raises(ValueError, match="at least 4 draws"):
            draw(inputs.chains(2, 3))
        with pytest.raises(ValueError, match="There are: line/kernel"):
            draw(posterior, "nowhere")
    assert plt.get_fignums() == figures
