# Long: each table of the page has a function, and each is short.
"""Writes docs/benchmarks.md from the results under benchmarks/results: no number is typed by hand.

`python tools/benchmark_page.py` writes it; with `--check` it says whether it is out of date, and
exits with 1. Needs nothing but Python.
"""

import itertools
import json
import math
import pathlib
import statistics
import sys
from collections import defaultdict

ROOT = pathlib.Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "benchmarks.md"
HEAD = """# Benchmarks

<!-- Written by tools/benchmark_page.py from benchmarks/results. -->

Each table is written from a stored JSON, and says with which command it was made, when, and with
what. No test row had a part in a choice: recipes and defaults were chosen on training rows held
back.
"""


def mean_and_error(values):
    """Mean and standard error; the error is NaN for one value."""
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return statistics.fmean(values), error


def written(pair, digits=2):
    """A cell: mean ± standard error."""
    mean, error = pair
    plus = "" if math.isnan(error) else f" ± {error:.{digits}f}"
    return f"{mean:.{digits}f}{plus}"


def table(rows):
    """Lines of a Markdown table, the first row its head."""
    lines = ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return [lines[0], "|" + "---|" * len(rows[0]), *lines[1:]]


def variational(stored):
    """Nets that are trained in the plain way and by variational layers."""
    rows, names = [], list(dict.fromkeys(row["net"] for row in stored["results"]))
    grouped = defaultdict(list)
    for row in stored["results"]:
        grouped[row["net"], row["way"]].append(row)
    rows.append(["", *(f"{name}: NLL, ECE, MI AUROC, scale" for name in names)])
    for way in dict.fromkeys(row["way"] for row in stored["results"]):
        cells = [way]
        for name in names:
            found = grouped[name, way]
            parts = [
                f"{statistics.fmean(row[key] for row in found):.3f}"
                for key in ("nll", "ece", "mi_auroc", "scale")
                if found and key in found[0]
            ]
            cells.append(", ".join(parts) or "-")
        rows.append(cells)
    return [
        f"## Variational layers beside plain nets: {', '.join(names)}",
        "",
        f"`{stored['command']}` ({stored['date']}, Keras {stored['keras']}, {stored['backend']});",
        f"means of seeds {', '.join(map(str, stored['seeds']))}. Negative log likelihood in nats,",
        "expected calibration error, AUROC of the mutual information for odd rows, and the median",
        "standard deviation of a weight. `benchmarks/variational.py` says what each way is.",
        "",
        *table(rows),
        "",
    ]


def uci(stored):
    """Log likelihoods of the nine regressions, with published ones beside them."""
    grouped = {"ll": defaultdict(list), "rmse": defaultdict(list), "coverage_90": defaultdict(list)}
    for row in stored["results"]:
        if row["rows"] != "test" or "ll" not in row:
            continue
        for key, found in grouped.items():
            value = 100 * row[key] if key == "coverage_90" else row[key]
            found[f"{row['method']} ({row['head']})", row["set"]].append(value)
    sets = sorted({name for _, name in grouped["ll"]})
    if not sets:
        return []
    sources = [
        f"- *{method.replace('_', ' ')}*: {entry['source']}; ± is the {entry['spread']}"
        for method, entry in stored["published"].items()
    ]
    dates = sorted({row["date"] for row in stored["results"]})
    refused = [
        f"Ended with an error: {row['method']} ({row['head']}) on {row['set']}, split "
        f"{row['split']}: {row['refused'].split('.')[0]}.\n"
        for row in stored["results"]
        if row["rows"] == "test" and "refused" in row
    ]
    chosen = [row for row in stored["results"] if row["rows"] == "validation" and "ll" in row]
    tried = []
    if chosen:
        by_way = defaultdict(list)
        for row in chosen:
            by_way[f"{row['method']} ({row['head']})", row["set"]].append(row["ll"])
        tried = [
            "Recipes were chosen on rows held back, a fifth of the training rows of split 0 (other",
            "splits have some of them among their test rows):",
            "",
            *_of_sets(by_way, sets, {}, 2),
            "",
        ]
    return [
        "## Nine regressions of the UCI repository",
        "",
        *(f"- `{command}`" for command in stored["commands"]),
        "",
        f"{dates[0]} to {dates[-1]}. One hidden layer of 50 units (protein 100). Nats of a target",
        "in its own units, higher is better: mean over splits ± its standard error (number of",
        "splits). `noise` is one learned noise, `both` mean and noise of each row. In italics what",
        "was published of nets of the same width; budgets and splits differ, as the sources say.",
        "",
        *_of_sets(grouped["ll"], sets, stored["published"], 2),
        "",
        *refused,
        "Root mean squared error of the mean, in units of the target, median over splits",
        "(largest), and the percent of targets that the central 90% interval holds:",
        "",
        *_of_sets(grouped["rmse"], sets, {}, None),
        "",
        *_of_sets(grouped["coverage_90"], sets, {}, 0),
        "",
        *sources,
        "",
        *tried,
    ]


def _of_sets(grouped, sets, published, digits):
    """A table of a number of each way, over data sets, with published ones below.

    Without `digits` medians and largest ones.
    """

    def cell(values):
        if not values:
            return "-"
        if digits is None:
            return f"{statistics.median(values):.3g} ({max(values):.3g})"
        return f"{written(mean_and_error(values), digits)} ({len(values)})"

    rows = [["", *sets]]
    for way in dict.fromkeys(way for way, _ in grouped):
        rows.append([way, *(cell(grouped.get((way, name))) for name in sets)])
    for way, entry in published.items():
        found = [entry["ll"].get(name) for name in sets]
        pairs = [tuple(v) if isinstance(v, list) else (v, math.nan) for v in found]
        rows.append(
            [
                f"*{way.replace('_', ' ')}*",
                *("-" if pair[0] is None else written(pair) for pair in pairs),
            ]
        )
    return table(rows)


def crossed(results, row_key, column_key, cell):
    """A table of `cell(rows)` for each pair of values."""
    columns = list(dict.fromkeys(row[column_key] for row in results))
    grouped = defaultdict(list)
    for row in results:
        grouped[row[row_key], row[column_key]].append(row)
    lines = [["", *columns]]
    for name in dict.fromkeys(row[row_key] for row in results):
        found = [grouped.get((name, column)) for column in columns]
        lines.append([name, *(cell(rows) if rows else "-" for rows in found)])
    return table(lines)


def samplers(stored):
    """NUTS beside its peers, in gradients."""

    def cell(rows):
        draws = statistics.fmean(row["ess_per_1000_gradients"] for row in rows)
        warmup = statistics.fmean(row["warmup_gradients"] for row in rows)
        return f"{draws:.3g}; {warmup / 1000:.0f}k ({len(rows)})"

    # A setting that stands in two runs is the same fit where its seed is the same.
    once = {
        (row["model"], row["who"], row["seed"]): row
        for run in stored["runs"]
        for row in run["results"]
    }
    results = list(once.values())
    return [
        "## NUTS: effective draws for a gradient",
        "",
        *(f"- `{run['command']}`" for run in stored["runs"]),
        "",
        f"{stored['versions']}; {stored['note']}.",
        "Least bulk effective sample size over weights for 1000 gradients of the draws; gradients",
        "of the warmup (number of seeds).",
        "",
        *crossed(results, "who", "model", cell),
        "",
    ]


def small_data(stored):
    """Settings of samplers and ensembles on few rows, by which defaults were chosen."""

    def cell(rows):
        return written(mean_and_error([row["nll"] for row in rows]), 3) + f" ({len(rows)})"

    results = [row for run in stored["runs"] for row in run["results"] if "nll" in row]
    return [
        "## Samplers and ensembles on few rows: how defaults were chosen",
        "",
        *(f"- `{run['command']}`" for run in stored["runs"]),
        "",
        f"Rows: {stored['rows']} (Keras {stored['keras']}). Negative log likelihood in nats of a",
        "standardised target, mean over splits ± its standard error (number of splits).",
        "",
        *crossed(results, "setting", "set", cell),
        "",
    ]


def ensembles(stored):
    """Learning rates of the members of an ensemble."""

    def cell(rows):
        return written(mean_and_error([row["nll"] for row in rows]), 3)

    return [
        "## Learning rates of a deep ensemble",
        "",
        f"`{stored['command']}` (Keras {stored['keras']}).",
        f"Rows: {stored['rows']}, splits 0, 1, 2. Five members in as many steps as they take by",
        "themselves (on MNIST 20 epochs); 0.001 is the default, the others fall to 0 along half a",
        "cosine. Negative log likelihood in nats (of standardised targets), mean over splits ± its",
        "standard error.",
        "",
        *crossed([row for row in stored["results"] if "nll" in row], "set", "rate", cell),
        "",
    ]


def coverage(stored):
    """What intervals of each method hold, and how far it is from posteriors that are known."""

    def percent(pair):
        return "-" if pair is None else written([100 * (v or math.nan) for v in pair], 0)

    def known(row):
        return f"{row['mean_error']:.2f}, {row['sd_ratio']:.2f}" if "sd_ratio" in row else "-"

    by_case = defaultdict(dict)
    for row in stored["summary"]:
        by_case[row["case"]][row["method"]] = row
    line, net = by_case.pop("line"), by_case.pop("net")
    held = [["", "line: weights", "line: function", "net: by the data", "net: in the gap"]]
    for method in line:
        of_net = net.get(method, {})
        held.append(
            [
                method,
                percent(line[method].get("coverage_weights")),
                percent(line[method].get("coverage_function")),
                percent(of_net.get("coverage_data")),
                percent(of_net.get("coverage_gap")),
            ]
        )
    far = [["", "line", *by_case]]
    for method in line:
        cells = [known(case.get(method, {})) for case in (line, *by_case.values())]
        far.append([method, *cells])
    return [
        "## Intervals, and distance from known posteriors",
        "",
        f"`{stored['command']}` ({stored['date']}, Keras {stored['keras']}, {stored['backend']}).",
        "Percent of the true weights and of the true function that 90% intervals hold, over",
        f"{max(row['data_sets'] for row in line.values())} data sets drawn from the model itself",
        "(± standard error): 90 is right, less is too sure of itself. `line` has 5 correlated",
        "inputs; `net` is 1-20-1 with a gap in its inputs.",
        "",
        *table(held),
        "",
        "Error of means in posterior standard deviations, and standard deviations over the right",
        "ones: 0, 1 is exact. Of `line` medians over its data sets, against the closed form; else",
        "against reference draws of posteriordb, on raw designs.",
        "",
        *table(far),
        "",
    ]


def serving(stored):
    """Files of the predictive beside files of the mean alone."""
    rows = [["", "backend, format", "kB", "ms at 1 row", "ms at 256 rows"]]
    for run in stored["runs"]:
        for row in run["results"]:
            pairs = [
                f"{row[f'mean alone: {of}']:{form}} → {row[f'predictive: {of}']:{form}}"
                for of, form in (("kB", ".0f"), ("ms at 1", ".2g"), ("ms at 256", ".3g"))
            ]
            rows.append([row["case"], f"{run['backend']}, {row['format']}", *pairs])
    return [
        "## Serving: the predictive beside the mean alone",
        "",
        *(f"- `{run['command']}` ({run['date']}, Keras {run['keras']})" for run in stored["runs"]),
        "",
        "`model.export` of the plain net at the posterior mean → `export_predictive` with",
        f"{stored['runs'][0]['draws']} draws. Each runtime has one thread; the machine had other",
        "work, so trust the ratios.",
        "",
        *table(rows),
        "",
    ]


def scaling(stored):
    """Time and memory along each axis, with the growth from one value to the next."""
    by_axis = defaultdict(dict)
    for row in stored["results"]:
        by_axis[row["axis"]][row["value"]] = row
    rows = [["", "value: seconds, MiB", "seconds grow with the power"]]
    for axis, found in by_axis.items():
        points = [f"{value}: {r['seconds']:.2g}, {r['mebibytes']}" for value, r in found.items()]
        powers = [
            f"{math.log(b['seconds'] / a['seconds']) / math.log(high / low):.1f}"
            for (low, a), (high, b) in itertools.pairwise(found.items())
        ]
        rows.append([axis, "; ".join(points), ", ".join(powers)])
    return [
        "## How time and memory grow",
        "",
        f"`{stored['command']}` ({stored['date']}, Keras {stored['keras']}, {stored['backend']},",
        f"{stored['cores']} cores). `width` and `batch`: Adam on a square layer, of 128 rows",
        "or 256 units; `draws`: `predict` of 784-400-1 on 1,000 rows; `rows`: 10 draws of 3-8-1;",
        "`chains`: NUTS, 100 and 100 steps on 49 weights; `members`: `DeepEnsemble`, 200 epochs of",
        "the same net. Memory is the peak of a process beside data and libraries; pages of a file",
        "that is mapped count, which the system takes back, and workers do not. A power of 1",
        "between two values is time in proportion, 0 time that does not grow.",
        "",
        *table(rows),
        "",
    ]


def recorded(stored):
    """Whole fits on PyTorch, gradients called and recorded."""
    rows = [["", "called, s", "recorded, s", "ratio", "the same draws"]]
    for row in stored["results"]:
        ratio = row["recorded"] / row["called"]
        same = "yes" if row["same"] else "no"
        times = (f"{row['called']:.1f}", f"{row['recorded']:.1f}")
        rows.append([row["method"], *times, f"{ratio:.2f}", same])
    return [
        "## Recorded gradients on PyTorch",
        "",
        f"`{stored['command']}` ({stored['date']}, Keras {stored['keras']}, PyTorch",
        f"{stored['torch']}, one thread): whole fits of 3-50-2 with tanh on 100 rows, medians of",
        f"{stored['rounds']} rounds in which the two ways take turns, with what recording costs.",
        "",
        *table(rows),
        "",
    ]


PARTS = {
    "uci.json": uci,
    "simulated_coverage.json": coverage,
    "variational_covertype.json": variational,
    "variational_images.json": variational,
    "nuts.json": samplers,
    "small_data.json": small_data,
    "ensembles.json": ensembles,
    "serving.json": serving,
    "scaling.json": scaling,
    "recorded.json": recorded,
}


def page():
    """The whole page."""
    lines = [HEAD]
    for name, part in PARTS.items():
        path = RESULTS / name
        if path.exists():
            lines += part(json.loads(path.read_text()))
    return "\n".join(lines).rstrip() + "\n"


def main():
    text = page()
    if "--check" in sys.argv[1:]:
        if not PAGE.exists() or PAGE.read_text() != text:
            print(f"{PAGE} is out of date. Run: python tools/benchmark_page.py")
            sys.exit(1)
        return
    PAGE.write_text(text)


if __name__ == "__main__":
    main()
