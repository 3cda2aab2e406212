"""What is drawn of predictions is what they say."""

import keras
import numpy as np
import pytest
from matplotlib import pyplot as plt
from scipy import stats

import keras_priors as kp
from tests.plots import _inputs as inputs
from tests.plots.test_weight_pictures import edges


def test_the_bands_are_the_intervals_and_the_line_is_the_mean():
    x, y, predictive = inputs.regression(20)
    shuffled = np.random.default_rng(0).permutation(20)
    mixed = kp.Predictive(predictive.draws[:, shuffled], predictive.likelihood)
    ax = kp.plots.predictive_band(mixed, x[shuffled][:, None], y[shuffled], coverage=0.8)
    outer, inner = ax.collections
    for band, of in ((outer, "y"), (inner, "mean")):
        low, high = edges(band, x)
        for found, known in zip((low, high), predictive.interval(0.8, of=of), strict=True):
            np.testing.assert_allclose(found, known[:, 0], atol=0.08 if of == "y" else 1e-6)
    mean = ax.lines[-1]
    np.testing.assert_allclose(mean.get_xdata(), x, atol=1e-7)
    np.testing.assert_allclose(mean.get_ydata(), predictive.mean[:, 0], atol=1e-6)
    (data,) = [line for line in ax.lines if line.get_label() == "data"]
    np.testing.assert_allclose(np.sort(data.get_ydata()), np.sort(y[:, 0]), rtol=1e-6)
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts[0] == "an observation (80%)"


def test_bands_without_likelihood_of_one_column_of_several_and_with_other_data():
    draws = np.stack([np.zeros((5, 2)), np.ones((5, 2)) * [1, 3]])
    x = np.stack([np.arange(5.0), np.arange(5.0)[::-1]], axis=1)
    x[:, 0] = 3.0  # the column that is drawn along is the only one that varies
    ax = kp.plots.predictive_band(
        kp.Predictive(draws), x, [[7.0, 8.0]], feature=1, output=1, x_data=[[0.0, 2.5]]
    )
    assert ax.get_xlabel() == "x"
    (band,) = ax.collections
    np.testing.assert_allclose(edges(band, [0.0, 4.0])[1], 2.85)
    (data,) = [line for line in ax.lines if line.get_label() == "data"]
    assert (data.get_xdata()[0], data.get_ydata()[0]) == (2.5, 8.0)


def _several_inputs(rows, whole=False):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 2))
    x[:, 1] = np.round(x[:, 1]) if whole else x[:, 1]
    draws = (rng.normal([1.0, 0.7], 0.1, (30, 2)) @ x.T)[..., None]
    predictive = kp.Predictive(draws, kp.likelihoods.Normal(0.3))
    return predictive, x, predictive.mean + rng.normal(0, 0.3, (rows, 1))


@pytest.mark.parametrize("rows", [1, 12, 60, 61, 500])
def test_of_several_inputs_each_row_has_its_own_intervals(rows):
    predictive, x, y = _several_inputs(rows)
    ax = kp.plots.predictive_band(predictive, x, y, feature=1, coverage=0.8)
    ax.figure.canvas.draw()
    order = np.argsort(x[:, 1])
    order = order[np.linspace(0, rows - 1, min(rows, 60)).astype(int)]
    lines = {line.get_label(): np.array(line.get_data()) for line in ax.lines}
    shown = np.stack([x[order, 1], predictive.mean[order, 0]])
    np.testing.assert_allclose(lines["mean"], shown, rtol=1e-5)
    np.testing.assert_allclose(lines["data"], [x[order, 1], y[order, 0]], rtol=1e-5)
    for found, of, atol in zip(ax.collections, ("y", "mean"), (0.15, 1e-5), strict=True):
        segments = np.array(found.get_segments())
        np.testing.assert_allclose(segments[:, :, 0], np.stack([x[order, 1]] * 2, 1), rtol=1e-6)
        known = np.stack([v[order, 0] for v in predictive.interval(0.8, of=of)], axis=1)
        np.testing.assert_allclose(segments[:, :, 1], known, atol=atol)
    assert (f"means of all {rows} rows" in lines) == (rows > 60)
    if rows > 60:
        assert lines[f"means of all {rows} rows"].shape == (2, rows)
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert {"an observation (80%)", "its mean: doubt about the weights (80%)"} < set(texts)
    assert ax.get_xlabel() == "x[:, 1]"
    assert all(line.get_linestyle() == "None" for line in ax.lines)  # nothing joins the rows


def test_rows_with_the_same_input_stand_side_by_side_and_data_of_other_rows_where_they_are():
    predictive, x, y = _several_inputs(40, whole=True)
    ax = kp.plots.predictive_band(predictive, x, y, feature=1)
    at = next(line for line in ax.lines if line.get_label() == "mean").get_xdata()
    assert len(set(at)) == 40
    np.testing.assert_array_equal(np.round(at), np.sort(x[:, 1]))
    assert np.abs(at - np.round(at)).max() < 0.3
    assert abs(np.mean(at[np.round(at) == 0.0])) < 1e-12
    for line in ax.lines:
        np.testing.assert_array_equal(line.get_xdata(), at)
    ax = kp.plots.predictive_band(predictive, x, y[:3], feature=1, x_data=[[0, 7], [0, 7], [0, 8]])
    (data,) = [line for line in ax.lines if line.get_label() == "data"]
    assert list(data.get_xdata()) == [7.0, 7.0, 8.0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": np.zeros((60, 2))}, "feature=0"),
        ({"x": np.zeros((60, 2)), "feature": 2}, "one of the 2 columns of `x`"),
        ({"x": np.zeros((60, 2)), "feature": True}, "one of the 2 columns of `x`"),
        ({"x": np.zeros(3)}, "must have 60 rows"),
        ({"output": 1}, "one of the 1 outputs"),
        ({"y": [1.0]}, "must have the shape"),
        ({"coverage": 90}, "between|less than 1"),
    ],
)
def test_bands_that_cannot_be(arguments, message):
    x, _, predictive = inputs.regression()
    with pytest.raises(ValueError, match=message):
        kp.plots.predictive_band(predictive, **{"x": x, **arguments})
    assert plt.get_fignums() == []


@pytest.mark.parametrize("of", [None, "confidence", "mutual_information", "expected_entropy", 0])
def test_a_map_is_the_prediction_on_its_grid(of):
    x, y, model = inputs.two_moons()
    ax = kp.plots.decision_boundary(model, x, y, of=of, resolution=7, num_samples=5, seed=3)
    low, high = x[:, 0].min(), x[:, 0].max()
    beyond = 0.25 * (high - low)
    np.testing.assert_allclose(ax.get_xlim(), [low - beyond, high + beyond], rtol=1e-5)
    edge = [np.linspace(a, b, 7) for a, b in (ax.get_xlim(), ax.get_ylim())]
    grid = np.stack(np.meshgrid(*edge), axis=-1).reshape(-1, 2).astype("float32")
    p = kp.predict(model, grid, 5, seed=3, verbose=0)
    p1 = p.probabilities
    known = {None: p.entropy, "confidence": np.maximum(p1, 1 - p1), 0: 1 - p1}
    values = (known[of] if of in known else getattr(p, of)).reshape(-1)
    filled = ax.collections[0]
    assert filled.levels[0] <= values.min()
    assert filled.levels[-1] >= values.max() - 1e-6
    # The areas above the middle level hold the points above it, and no others.
    middle = len(filled.levels) // 2
    inside = np.zeros(len(grid), bool)
    for path in filled.get_paths()[middle:]:
        inside |= path.contains_points(grid, radius=1e-9)
    away = np.abs(values - filled.levels[middle]) > 0.02 * np.ptp(filled.levels)
    within = np.all((grid > grid.min(0) + 1e-3) & (grid < grid.max(0) - 1e-3), axis=1)
    where = away & within
    assert where.sum() > 10
    assert np.array_equal(inside[where], values[where] > filled.levels[middle])


def test_the_boundary_is_where_the_most_probable_class_changes():
    layer = keras.layers.Dense(3, use_bias=False, name="line")
    model = keras.Sequential([keras.Input((2,)), layer])
    layer.kernel.assign(np.array([[0.0, 2.0, 0.0], [0.0, 0.0, 2.0]]))
    model.compile(loss=kp.likelihoods.Categorical())
    x = np.array([[-1.0, -1], [1, 1], [1, -1]], "float32")
    ax = kp.plots.decision_boundary(model, x, [0, 1, 2], resolution=41, margin=0.0)
    lines = ax.collections[1:]
    points = np.concatenate([p.vertices for line in lines for p in line.get_paths()])
    logits = points @ keras.ops.convert_to_numpy(layer.kernel)
    two = np.sort(logits, axis=1)
    np.testing.assert_allclose(two[:, -1], two[:, -2], atol=0.11)  # between points of the grid
    assert len(lines) == 3
    assert len(ax.get_legend().get_texts()) == 3


def test_a_map_on_axes_of_ones_own_leaves_the_place_of_the_title_and_the_bar_can_go():
    x, y, model = inputs.two_moons()
    _, ax = plt.subplots(layout="constrained")
    kp.plots.decision_boundary(model, x, y, resolution=3, num_samples=2, ax=ax)
    assert ax.get_legend() is None
    assert ax.get_legend_handles_labels()[1] == ["0", "1"]
    ax.collections[0].colorbar.remove()
    assert ax.figure.axes == [ax]


def test_a_map_of_a_regression_and_of_a_posterior():
    posterior = inputs.chains()
    ax = kp.plots.decision_boundary(posterior, np.eye(2), resolution=5, num_samples=8)
    assert ax.figure.axes[1].get_ylabel() == "standard deviation of y"
    kp.plots.decision_boundary(posterior, np.eye(2), of="epistemic", resolution=3, num_samples=4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": np.zeros((3, 3))}, "shape"),
        ({"x": np.zeros((0, 2))}, "shape"),
        ({"of": "std"}, "'mutual_information'"),
        ({"of": 2}, "a class from 0 to 1"),
        ({"of": True}, "a class from 0 to 1"),
        ({"y": [0]}, "one label for each of the 40"),
    ],
)
def test_maps_that_cannot_be(arguments, message):
    x, y, model = inputs.two_moons()
    options = {"x": x, "y": y, "resolution": 3, "num_samples": 2, **arguments}
    with pytest.raises(ValueError, match=message):
        kp.plots.decision_boundary(model, **options)
    with pytest.raises(TypeError, match="Received: Predictive"):
        kp.plots.decision_boundary(inputs.regression()[2], x)
    assert plt.get_fignums() == []


def test_the_most_and_the_least_certain_are_shown_in_order():
    y, predictive = inputs.classes(30)
    x = inputs.digits()
    axes = kp.plots.examples(predictive, x, y, count=3)
    order = np.argsort(predictive.entropy, kind="stable")
    guess = predictive.probabilities.argmax(axis=1)
    for line, rows in zip(axes, (order[:3], order[::-1][:3]), strict=True):
        for ax, i in zip(line, rows, strict=True):
            np.testing.assert_allclose(ax.images[0].get_array(), x[i] / x.max(), atol=1e-6)
            truth = "" if guess[i] == y[i] else f", is {y[i]}"
            assert ax.get_title() == f"{guess[i]}{truth} ({predictive.entropy[i]:.2f})"
            assert (ax.spines["top"].get_linewidth() > 2) == (guess[i] != y[i])


def test_rows_are_shown_by_the_features_that_differ_most():
    x = np.random.default_rng(0).normal(size=(8, 20))
    x[3, 7] = 30.0
    draws = np.zeros((2, 8, 1))
    draws[:, 3] = [[-4.0], [4.0]]
    ax = kp.plots.examples(kp.Predictive(draws), x, np.zeros(8), count=1)[1, 0]
    standard = (x[3] - x.mean(axis=0)) / x.std(axis=0)
    chosen = np.argsort(-np.abs(standard))[:10]
    np.testing.assert_allclose([bar.get_width() for bar in ax.patches], standard[chosen])
    assert [t.get_text() for t in ax.get_yticklabels()] == [f"column {k}" for k in chosen]
    assert ax.get_title() == "0, is 0 (4.00)"
    assert ax.get_xlabel() == "standard deviations\nfrom the mean"
    assert ax.figure.get_suptitle() == "Above each: prediction, truth (standard deviation)"


def test_what_stands_above_examples_is_said():
    y, predictive = inputs.classes(6)
    x = np.zeros((6, 4, 4))

    def said(**options):
        return kp.plots.examples(predictive, x, count=1, **options)[0, 0].figure.get_suptitle()

    assert said() == "Above each: prediction (entropy in nats)"
    framed = 'Above each: prediction (entropy in nats)\nFramed: wrong, with what it "is"'
    assert said(y=y) == framed
    assert said(score="mutual_information").endswith("(score: mutual_information)")
    assert said(score=np.arange(6.0)).endswith("(the given score)")
    _, own = plt.subplots(2, 1)
    assert said(ax=own) == ""


def test_examples_of_flat_images_of_colour_and_by_a_score_of_ones_own():
    _, predictive = inputs.classes(6)
    x = np.random.default_rng(0).uniform(size=(6, 48))
    axes = kp.plots.examples(
        predictive, x, shape=(4, 4, 3), count=1, score=-np.arange(6.0), names="abc"
    )
    assert axes[0, 0].images[0].get_array().shape == (4, 4, 3)
    guess = "abc"[predictive.probabilities[5].argmax()]
    assert axes[0, 0].get_title() == f"{guess} (-5.00)"
    for arguments, message in (
        ({"x": x[:2]}, "must have the 6 rows"),
        ({"shape": (7, 7)}, "of 48 numbers"),
        ({"score": [1.0]}, "one number for each of the 6 rows"),
        ({"score": "doubt"}, "must be one of 'entropy'"),
    ):
        with pytest.raises(ValueError, match=message):
            kp.plots.examples(predictive, **{"x": x, **arguments})


@pytest.mark.parametrize("names", [None, ["a", "b", "c"]])
def test_bars_are_the_probabilities_and_lines_their_interval_over_the_draws(names):
    y, predictive = inputs.classes(10)
    rows = [2, 7]
    axes = kp.plots.class_probabilities(predictive, rows, y, coverage=0.5, names=names)
    draws = keras.ops.convert_to_numpy(predictive.likelihood.probabilities(predictive.draws))
    for ax, i in zip(axes, rows, strict=True):
        length = [bar.get_height() if names is None else bar.get_width() for bar in ax.patches]
        np.testing.assert_allclose(length, predictive.probabilities[i], rtol=1e-5)
        segments = np.array(ax.collections[0].get_segments())
        ends = segments[:, :, 1 if names is None else 0].T
        np.testing.assert_allclose(ends, np.quantile(draws[:, i], [0.25, 0.75], axis=0), rtol=1e-5)
        colours = [bar.get_facecolor() for bar in ax.patches]
        assert [k for k, c in enumerate(colours) if c[2] > 0.5 > c[0]] == [y[i]]  # blue
        hatched = [k for k, bar in enumerate(ax.patches) if bar.get_hatch()]
        guess = predictive.probabilities[i].argmax()
        assert hatched == ([] if guess == y[i] else [guess])


def test_bars_say_what_they_are_in_a_legend_and_have_named_axes():
    y, predictive = inputs.classes(40)
    guess = predictive.probabilities.argmax(axis=1)
    right, wrong = np.flatnonzero(guess == y), np.flatnonzero(guess != y)
    rows = [*right[:4], wrong[0]]

    def legend(axes):
        (found,) = axes[0].figure.legends
        return [text.get_text() for text in found.get_texts()]

    axes = kp.plots.class_probabilities(predictive, rows, y, coverage=0.5)
    axes[0].figure.canvas.draw()
    known = ["the true class", "50% of the draws", "preferred, but wrong"]
    assert sorted(legend(axes)) == sorted(known)
    # Three columns, two lines: the last of the first line has nothing below it.
    assert [ax.get_xlabel() for ax in axes] == ["", "", "class", "class", "class"]
    assert [ax.get_ylabel() for ax in axes] == ["probability", "", "", "probability", ""]
    named = [any(t.get_visible() for t in ax.get_xticklabels()) for ax in axes]
    assert named == [False, False, True, True, True]
    assert legend(kp.plots.class_probabilities(predictive, rows)) == ["90% of the draws"]
    assert "preferred, but wrong" not in legend(
        kp.plots.class_probabilities(predictive, right[:2], y)
    )
    lying = kp.plots.class_probabilities(predictive, rows[:2], y, names=["a", "b", "c"])
    assert [ax.get_xlabel() for ax in lying] == ["probability"] * 2
    point = kp.Predictive(predictive.draws[:1], predictive.likelihood)
    assert kp.plots.class_probabilities(point, 0)[0].figure.legends == []
    figure, own = plt.subplots()
    kp.plots.class_probabilities(predictive, int(wrong[0]), y, ax=own)
    assert figure.legends == []
    names = own.get_legend_handles_labels()[1]
    assert sorted(names) == ["90% of the draws", "preferred, but wrong", "the true class"]
    for number, columns in ((1, 1), (2, 2), (3, 3), (4, 2), (12, 3)):
        axes = kp.plots.class_probabilities(predictive, np.arange(number))
        assert axes[0].get_subplotspec().get_gridspec().ncols == columns
        inches = [ax.get_position().width * ax.figure.get_figwidth() for ax in axes]
        assert min(inches) > 2.0
        plt.close("all")


def test_bars_of_two_classes_of_a_point_and_of_what_there_is_not():
    p = kp.Predictive(np.array([[[0.0], [2.0]]]), kp.likelihoods.Bernoulli())
    (ax,) = kp.plots.class_probabilities(p, 1)
    one = 1 / (1 + np.exp(-2))
    np.testing.assert_allclose([bar.get_height() for bar in ax.patches], [1 - one, one], rtol=1e-6)
    assert not ax.collections
    for rows in (2, [], -1, [0.5], True):
        with pytest.raises(ValueError, match="from 0 to 1"):
            kp.plots.class_probabilities(p, rows)
    with pytest.raises(ValueError, match="is for classes"):
        kp.plots.class_probabilities(inputs.regression()[2], 0)
    with pytest.raises(ValueError, match="2 classes"):
        kp.plots.class_probabilities(p, 0, names=["a"])


def test_curves_of_the_prior_are_the_draws_and_the_bands_their_quantiles():
    x, _, predictive = inputs.regression(9)
    ax = kp.plots.prior_predictive(predictive, x, num_curves=4)
    means = predictive.draws[:, :, 0]
    assert len(ax.lines) == 4
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == ["90% of 50 draws", "50%", "4 of them"]
    np.testing.assert_allclose(ax.lines[2].get_ydata(), means[2], rtol=1e-6)
    low, high = edges(ax.collections[0], x)
    np.testing.assert_allclose(high, np.quantile(means, 0.95, axis=0), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(low, np.quantile(means, 0.05, axis=0), rtol=1e-5, atol=1e-7)


def test_the_prior_predictive_over_several_inputs_is_a_histogram():
    _, predictive = inputs.classes(10)
    ax = kp.plots.prior_predictive(predictive, np.zeros((10, 4)))
    p = keras.ops.convert_to_numpy(predictive.likelihood.probabilities(predictive.draws))
    height, _ = np.histogram(p, 30, (0, 1), density=True)
    np.testing.assert_allclose([bar.get_height() for bar in ax.patches], height)
    with pytest.raises(TypeError, match="several outputs"):
        kp.plots.prior_predictive({"a": predictive}, np.zeros((10, 4)))
    with pytest.raises(ValueError, match="one of the 3 outputs"):
        kp.plots.prior_predictive(predictive, np.zeros((10, 1)), output=3)
    with pytest.raises(ValueError, match="have the 10 rows"):
        kp.plots.prior_predictive(predictive, np.zeros((9, 1)))


def test_the_gallery_has_the_densities_and_tails_of_scipy():
    priors = [kp.NormalPrior(0, 1), kp.StudentTPrior(3.0), kp.HalfNormalPrior(1.0)]
    density, log, tail = kp.plots.prior_gallery(priors, limit=3.0)
    known = [stats.norm(), stats.t(3), stats.halfnorm()]
    for lines, p in zip(zip(density.lines, log.lines, tail.lines, strict=True), known, strict=True):
        x, y = lines[0].get_data()
        inside = np.isfinite(y)
        assert inside.sum() > 70
        np.testing.assert_allclose(y[inside], p.pdf(x)[inside], rtol=1e-4)
        np.testing.assert_allclose(lines[1].get_ydata()[inside], p.logpdf(x)[inside], atol=1e-4)
        t, share = lines[2].get_data()
        exact = p.sf(t) if p is known[2] else 2 * p.sf(t)
        error = np.sqrt(share * (1 - share) / 50_000)
        assert np.all(np.abs(share - exact) < 5 * error + 1e-4)
    names = [text.get_text() for text in density.get_legend().get_texts()]
    assert names[0] == "NormalPrior(0, 1)"


@pytest.mark.parametrize(
    ("priors", "error", "message"),
    [
        ({}, ValueError, "at least one prior"),
        (["normal"], TypeError, "Received: str"),
        (3, TypeError, "Received: int"),
        (kp.NormalPrior(0, [1.0, 2.0]), ValueError, "one density for all elements"),
        (kp.MultivariateNormalPrior(covariance=np.eye(2)), ValueError, "one density"),
        (kp.NormalPrior(0, scale=kp.HalfCauchyPrior(1.0)), ValueError, "one density"),
    ],
)
def test_galleries_that_cannot_be(priors, error, message):
    with pytest.raises(error, match=message):
        kp.plots.prior_gallery(priors)
