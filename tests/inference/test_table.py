"""The table of `compare`: errors, chosen metrics, order, pictures, frames."""

import re
import sys

import numpy as np
import pytest

import keras_priors as kp
from keras_priors.inference import scores

RNG = np.random.default_rng(0)
N = 80
Y = RNG.normal(size=(N, 1))
NUMBERS = {
    "near": kp.Predictive(0.1 * RNG.normal(size=(3, N, 1)), kp.likelihoods.Normal(1.0)),
    "far": kp.Predictive(RNG.normal(2.0, 1.0, (3, N, 1)), kp.likelihoods.Normal(1.0)),
}
LABELS = RNG.integers(0, 3, N)
LOGITS = RNG.normal(size=(4, N, 3)) + 0.7 * np.eye(3)[LABELS]
CLASSES = {"p": kp.Predictive(LOGITS, kp.likelihoods.Categorical())}
FUNCTION_OF = {
    "mce": kp.metrics.maximum_calibration_error,
    "ace": kp.metrics.adaptive_calibration_error,
    "cce": kp.metrics.classwise_calibration_error,
    "auroc": kp.metrics.auroc,
    "aupr": kp.metrics.aupr,
    "aurc": kp.metrics.area_under_risk_coverage,
    "accuracy_at_coverage": kp.metrics.accuracy_at_coverage,
    "nll": kp.metrics.negative_log_predictive_density,
    "ece": kp.metrics.expected_calibration_error,
    "brier": kp.metrics.brier_score,
}


def test_standard_errors_of_means_and_of_their_root():
    table = kp.compare(NUMBERS, Y, Y)
    errors = table.standard_errors["far"]
    each = -NUMBERS["far"].log_prob(Y)
    assert errors["nll"] == pytest.approx(each.std(ddof=1) / np.sqrt(N))
    square = (Y - NUMBERS["far"].mean) ** 2
    expected = square.std(ddof=1) / np.sqrt(N) / (2 * np.sqrt(square.mean()))
    assert errors["rmse"] == pytest.approx(expected)
    assert table["far"]["crps"] == pytest.approx(kp.metrics.crps(Y, NUMBERS["far"]))
    # Steps of a row are not independent of each other.
    steps = kp.Predictive(np.zeros((1, N, 4, 1)), kp.likelihoods.Normal(1.0))
    y = np.repeat(Y[:, None], 4, axis=1)
    of_steps = kp.compare({"p": steps}, y, y).standard_errors["p"]["nll"]
    one = kp.Predictive(np.zeros((1, N, 1)), kp.likelihoods.Normal(1.0))
    assert of_steps == pytest.approx(kp.compare({"p": one}, Y, Y).standard_errors["p"]["nll"])


def test_errors_of_what_is_no_mean_are_those_of_resampled_rows():
    metrics = {"mean": "brier", "again": resampled_brier}
    table = kp.compare(CLASSES, LABELS, LABELS, metrics=metrics)
    mean, again = (table.standard_errors["p"][key] for key in ("mean", "again"))
    # A deviation of 100 resamples is known to 7 percent.
    assert again == pytest.approx(mean, rel=4 * 0.07)
    assert table["p"]["again"] == table["p"]["mean"]


def resampled_brier(y, predictive, sample_weight=None):
    return kp.metrics.brier_score(y, predictive, sample_weight=sample_weight)


def test_chosen_metrics_by_name_and_by_function():
    table = kp.compare(CLASSES, LABELS, LABELS, metrics=list(FUNCTION_OF))
    assert table.columns == list(FUNCTION_OF)
    for name, function in FUNCTION_OF.items():
        assert table["p"][name] == pytest.approx(function(LABELS, CLASSES["p"]), rel=1e-6), name
        assert table.standard_errors["p"][name] > 0, name
    metrics = ["mae", "interval_score", "width", "sharpness", "qce", "aurc"]
    row = kp.compare(NUMBERS, Y, Y, metrics=metrics)["near"]
    p = NUMBERS["near"]
    assert list(row) == metrics
    assert row["mae"] == pytest.approx(np.abs(Y - p.mean).mean())
    assert row["width"] == pytest.approx(kp.metrics.interval_width(p))
    assert row["interval_score"] == pytest.approx(kp.metrics.interval_score(Y, p))
    assert row["sharpness"] == pytest.approx(p.std.mean())
    assert row["qce"] == pytest.approx(kp.metrics.quantile_calibration_error(Y, p))
    assert row["aurc"] == pytest.approx(kp.metrics.area_under_risk_coverage(Y, p))
    functions = [kp.metrics.crps, "predict_s", "nll"]
    table = kp.compare(NUMBERS, Y, Y, metrics=functions)
    assert table.columns == ["crps", "nll"]  # those were predicted elsewhere
    assert table.standard_errors["near"]["crps"] > 0

    def bias(y, predictive):
        return (predictive.mean - y).mean()

    row = kp.compare(NUMBERS, Y, Y, metrics=bias)["far"]
    assert row == {"bias": pytest.approx(np.mean(NUMBERS["far"].mean - Y))}


def test_several_outputs_have_chosen_metrics_each():
    both = {"a": NUMBERS["near"], "b": kp.Predictive(LOGITS[:3], CLASSES["p"].likelihood)}
    table = kp.compare({"p": both}, Y, {"a": Y, "b": LABELS}, metrics=["crps", "brier", "nll"])
    assert table.columns == ["a/crps", "b/brier", "nll", "a/nll", "b/nll"]


def test_a_ranking_without_an_error_is_left_out():
    perfect = kp.Predictive(100.0 * np.eye(3)[None, LABELS], kp.likelihoods.Categorical())
    table = kp.compare({**CLASSES, "all right": perfect}, LABELS, LABELS, metrics=["auroc", "nll"])
    assert "auroc" in table["p"] and "auroc" not in table["all right"]


def test_what_cannot_be_chosen_is_refused():
    with pytest.raises(ValueError, match="names of: nll"):
        kp.compare(NUMBERS, Y, Y, metrics=["nlll"])
    with pytest.raises(ValueError, match="one candidate at least"):
        kp.compare(NUMBERS, Y, Y, metrics=["brier"])
    with pytest.raises(ValueError, match="one number"):
        kp.compare(NUMBERS, Y, Y, metrics=[kp.metrics.pit_values])
    with pytest.raises(ValueError, match="one metric at least"):
        kp.compare(NUMBERS, Y, Y, metrics=[])
    with pytest.raises(ValueError, match="A column must be one of"):
        kp.compare(NUMBERS, Y, Y, sort="loss")


TABLE = kp.inference.Table(
    {
        "a": {"nll": 1.0, "accuracy": 0.5, "coverage": 1.0},
        "b": {"nll": 0.5, "accuracy": 0.7, "coverage": 0.88},
        "c": {"accuracy": 0.9, "coverage": 0.7},
    },
    {"a": {"nll": 0.125}},
)


def test_rows_are_sorted_the_best_first():
    assert list(TABLE.sort("nll")) == ["b", "a", "c"]
    assert list(TABLE.sort("nll", descending=True)) == ["a", "b", "c"]
    assert list(TABLE.sort("accuracy")) == ["c", "b", "a"]
    assert list(TABLE.sort("coverage")) == ["b", "a", "c"]
    assert list(TABLE.sort("coverage", descending=False)) == ["c", "b", "a"]
    assert TABLE.sort("nll").standard_errors == TABLE.standard_errors
    assert list(kp.compare(NUMBERS, Y, Y, sort="nll")) == ["near", "far"]
    backwards = dict(reversed(NUMBERS.items()))
    assert list(kp.compare(backwards, Y, Y, sort="nll")) == ["near", "far"]


def test_a_column_of_another_name_is_sorted_as_what_it_is():
    y = np.zeros(4, "int64")
    likelihood = kp.likelihoods.Categorical(from_logits=False)
    p = {
        name: kp.Predictive(np.array([[[right, 1 - right]] * 4]), likelihood)
        for name, right in (("wrong", 0.1), ("right", 0.9))
    }
    for metric in ("accuracy", kp.metrics.accuracy_at_coverage):
        table = kp.compare(p, y, y, metrics={"top": metric}, sort="top")
        assert list(table) == ["right", "wrong"]
    narrow, fit = (kp.Predictive(np.zeros((1, N, 1)), kp.likelihoods.Normal(s)) for s in (0.1, 1.0))
    metrics = [kp.metrics.interval_coverage, "nll"]
    table = kp.compare({"narrow": narrow, "fit": fit}, Y, Y, metrics=metrics)
    assert list(table.sort("nll").sort("interval_coverage")) == ["fit", "narrow"]
    (ax,) = kp.plots.compare(table, "interval_coverage")
    hollow = [line for line in ax.lines if line.get_markerfacecolor() == "white"]
    assert hollow[0].get_ydata()[0] == 1


def test_predictions_that_are_nan_and_targets_of_another_shape_are_refused():
    draws = np.zeros((2, N, 2))
    two = kp.Predictive(draws.copy(), kp.likelihoods.Normal(1.0))
    for name in ("rmse", "mae"):
        with pytest.raises(ValueError, match="shape of what was predicted"):
            kp.compare({"two": two}, Y, np.zeros((2, N)), metrics=[name])
    draws[1, 3] = np.nan
    bad = kp.Predictive(draws, two.likelihood)
    with pytest.raises(ValueError, match=r"'bad'.*first in row 3"):
        kp.compare({"good": two, "bad": bad}, Y, np.zeros((N, 2)))


def test_errors_are_printed_beneath():
    assert repr(TABLE).splitlines()[:3] == [
        "       nll accuracy coverage",
        "a        1      0.5        1",
        "±     0.12        -        -",
    ]


def test_long_numbers_stand_apart():
    table = kp.inference.Table({"MAP": {"nll": 0.1584, "dse": 0.00067912, "rmse": -1.234e-05}})
    header, row = str(table).split("\n")[:2]
    assert row.split() == ["MAP", "0.1584", "0.00068", "-1.234e-05"]
    assert len(header) == len(row)


def test_below_it_says_which_way_is_better_and_in_what_unit():
    assert repr(TABLE).splitlines()[-2:] == [
        "lower is better: nll (nats a row); higher is better: accuracy;",
        "0.9 is best: coverage; ±: standard error",
    ]
    for metrics, said in {
        ("nll", "nll_diff", "dse", "rmse"): [
            "lower is better: nll, nll_diff (nats a row), rmse (units of y);",
            "dse: standard error of nll_diff; ±: standard error",
        ],
        ("dse",): ["dse: standard error of the difference in nll to the best"],
        ("width",): ["lower is better at equal coverage: width (units of y); ±: standard error"],
    }.items():
        lines = str(kp.compare(NUMBERS, Y, Y, metrics=metrics)).splitlines()
        beneath = any("±" in line for line in lines[1:3])
        assert lines[3 + 2 * beneath :] == said
    # By another name it is what it was; of a function of one's own nobody knows.
    metrics = {"top": "accuracy", "mine": resampled_brier}
    lines = str(kp.compare(CLASSES, LABELS, LABELS, metrics=metrics)).splitlines()
    assert lines[3:] == ["higher is better: top; ±: standard error"]
    assert str(kp.inference.Table({"a": {"mine": 1.0}})).splitlines()[2:] == []
    # Every name, those of several outputs once, and no line longer than a narrow terminal.
    both = {"a": NUMBERS["near"], "b": NUMBERS["far"]}
    every = kp.compare({"p": both, "q": both}, Y, {"a": Y, "b": Y})
    assert str(every).splitlines()[5].count("rmse") == 1
    names = [name for name in scores.NAMES if not name.endswith("_s")]
    legend = str(kp.inference.Table({"a": dict.fromkeys(names, 0.5)})).splitlines()[2:]
    assert max(map(len, legend)) <= 80
    words = re.findall(r"\w+", " ".join(legend))
    assert all(name in words for name in names)


def test_frames_have_errors_beside():
    frame = TABLE.to_pandas()
    assert list(frame.index) == list(TABLE)
    assert list(frame.columns) == ["nll", "nll_se", "accuracy", "coverage"]
    assert frame.loc["a", "nll_se"] == 0.125 and np.isnan(frame.loc["b", "nll_se"])
    assert frame.loc["b", "nll"] == 0.5 and np.isnan(frame.loc["c", "nll"])
    assert list(TABLE.to_pandas(standard_errors=False).columns) == TABLE.columns
    twice = kp.inference.Table({"a": {"nll": 1.0, "nll_se": 2.0}}, {"a": {"nll": 0.1}})
    with pytest.raises(ValueError, match="Give the metric another name"):
        twice.to_pandas()
    assert twice.to_pandas(standard_errors=False).loc["a", "nll_se"] == 2.0


def test_pictures():
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    axes = TABLE.plot()
    assert [ax.get_title() for ax in axes] == TABLE.columns
    line, _, bars = axes[0].containers[0]
    np.testing.assert_array_equal(line.get_xdata().astype(float), [1.0, 0.5, np.nan])
    np.testing.assert_allclose(bars[0].get_segments()[0][:, 0], [0.75, 1.25])  # two errors
    assert [text.get_text() for text in axes[0].get_yticklabels()] == ["a", "b", "c"]
    _, mine = pyplot.subplots()
    assert TABLE.plot(["accuracy"], [mine]) == [mine]
    with pytest.raises(ValueError, match="one for each of the 1"):
        TABLE.plot(["accuracy"], [mine, mine])
    pyplot.close("all")


def test_without_matplotlib_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match="pip install matplotlib"):
        TABLE.plot()


def test_without_pandas_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        TABLE.to_pandas()


def test_differences_to_the_best_are_paired():
    rng = np.random.default_rng(0)
    y, noise = rng.normal(size=(50, 1)), kp.likelihoods.Normal(1.0)
    means = {"far": y + 2.0, "best": y * 0.9, "near": y * 0.8}
    candidates = {
        name: kp.Predictive(v[None].astype("float32"), noise) for name, v in means.items()
    }
    table = kp.compare(candidates, y, y)
    assert table.columns[:3] == ["nll", "nll_diff", "dse"]
    nll = {name: 0.5 * np.square(v - y)[:, 0] for name, v in means.items()}  # and a constant
    for name, each in nll.items():
        by_hand = np.std(each - nll["best"], ddof=1) / np.sqrt(50)
        assert table[name]["dse"] == pytest.approx(by_hand, rel=1e-3, abs=1e-8)
        apart = np.mean(each - nll["best"])
        assert table[name]["nll_diff"] == pytest.approx(apart, rel=1e-5, abs=1e-8)
    assert table["best"]["dse"] == table["best"]["nll_diff"] == 0.0
    assert "nll_diff" not in table.standard_errors["near"]
    assert list(table.sort("nll_diff")) == ["best", "near", "far"]
    assert table["near"]["dse"] < 0.9 * table.standard_errors["near"]["nll"]
    assert [ax.get_title() for ax in kp.plots.compare(table)][:2] == ["nll", "rmse"]

    asked = kp.compare(candidates, y, y, metrics=["rmse", "dse"])
    assert asked.columns == ["rmse", "dse"]
    assert asked["near"]["dse"] == table["near"]["dse"]
    asked = kp.compare(candidates, y, y, metrics=["nll_diff"], sort="nll_diff")
    assert asked.columns == ["nll_diff"] and list(asked) == ["best", "near", "far"]
    assert asked["far"]["nll_diff"] == table["far"]["nll_diff"]
    assert kp.compare(candidates, y, y, metrics=["nll"]).columns == ["nll"]
    one = kp.compare({"one": candidates["near"]}, y, y)
    assert "dse" not in one.columns and "nll_diff" not in one.columns


def test_differences_of_several_outputs_are_those_of_all_together():
    rng = np.random.default_rng(1)
    y, noise = rng.normal(size=(2, 40, 1)), kp.likelihoods.Normal(1.0)
    off = {"a": (0.0, 0.0), "b": (1.0, -1.0)}
    candidates = {
        name: [kp.Predictive(np.full((1, 40, 1), v), noise) for v in pair]
        for name, pair in off.items()
    }
    table = kp.compare(candidates, y[0], list(y))
    each = [sum(0.5 * (y[k, :, 0] - v) ** 2 for k, v in enumerate(off[name])) for name in "ab"]
    by_hand = np.std(each[1] - each[0], ddof=1) / np.sqrt(40)
    assert max(table[name]["dse"] for name in "ab") == pytest.approx(by_hand, rel=1e-3)
    alone = kp.compare(candidates, y[0], list(y), metrics=["nll_diff"])
    assert {name: alone[name] for name in "ab"} == {
        name: {"nll_diff": table[name]["nll_diff"]} for name in "ab"
    }
    apart = abs(np.mean(each[1] - each[0]))
    assert max(table[name]["nll_diff"] for name in "ab") == pytest.approx(apart, rel=1e-5)
    assert table.columns[:3] == ["nll", "nll_diff", "dse"]


def test_a_row_that_is_impossible_has_no_difference():
    y, counts = np.array([[1.0], [2.0], [-1.0]]), kp.likelihoods.Poisson()
    possible = kp.Predictive(np.zeros((1, 3, 1)), kp.likelihoods.Normal(1.0))
    impossible = kp.Predictive(np.zeros((1, 3, 1)), counts)
    metrics = ["nll", "nll_diff", "dse"]
    table = kp.compare({"counts": impossible, "numbers": possible}, y, y, metrics=metrics)
    assert table["counts"]["nll"] == np.inf
    assert table.columns == ["nll"]
