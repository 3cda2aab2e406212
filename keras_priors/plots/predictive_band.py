"""A regression and its two kinds of doubt."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_priors.functional.as_array import as_array
from keras_priors.plots.canvas import BLUE, GREY, INK, legend_above, one_axes
from keras_priors.plots.predictions import is_classes, numbers, one_of_numbers, one_output
from keras_priors.predictive.predictive import Predictive
from keras_priors.utils.export import export

# More data points than this are drawn paler.
_MANY = 300
# With inputs that are not drawn along: so many rows, each with its own intervals.
_MOST_INTERVALS = 60
# More rows than this are not asked for their quantiles, each of which takes 5000 draws of y*.
_MOST_ROWS = 1000


@export()
def predictive_band(
    predictive: Any,
    x: Any,
    y: Any = None,
    *,
    coverage: float = 0.9,
    output: int = 0,
    feature: int | None = None,
    x_data: Any = None,
    ax: Any = None,
) -> Any:
    """Mean and central intervals of a regression along one input.

    The dark band holds the mean function E[y* | f] with the probability `coverage`: doubt about the
    weights, which more data would lessen (epistemic). The pale band with dashed edges holds an
    observation y*: the noise (aleatoric) comes on top. Without a likelihood there is only the
    first; of a `calibration.RecalibratedPredictive` only the second. Of more than 1000 rows every
    so many-th is drawn, in the order of x.

    Where x has several columns and not only `feature` varies there is no curve: neighbours differ
    in the other inputs too. Each row then has upright intervals of its own, thick for the mean and
    thin for an observation, and a dot for its mean; of more than 60 rows evenly spaced ones in the
    order of x, with the means of all as pale dots. Rows with the same x stand side by side. For a
    curve, predict rows that differ in `feature` alone.

    Args:
        predictive: `keras_priors.Predictive` at N rows, recalibrated too.
        x: array (N,), (N, 1) or (N, features): the rows that were predicted, in any order.
        y: data to show as dots, at `x_data`. Defaults to None.
        coverage: float between 0 and 1. Defaults to 0.9.
        output: integer, which of several outputs. Defaults to 0.
        feature: integer, which column of x is drawn along. Defaults to None: the only one.
        x_data: the inputs of y, as `x`. Defaults to None: `x` itself.
        ax: Axes. Defaults to None: a new figure.

    Returns:
        The Axes.

    Raises:
        TypeError: `predictive` is no `Predictive` of one output.
        ValueError: classes, shapes that do not match, several columns without `feature`.

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> x = np.linspace(0, 1, 5)
        >>> draws = np.stack([x - 1, x, x + 1])[..., None]
        >>> p = kp.Predictive(draws, kp.likelihoods.Normal(0.5))
        >>> ax = kp.plots.predictive_band(p, x)
        >>> [float(v) for v in ax.lines[-1].get_ydata()]
        [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    one = one_of_numbers("predictive_band", predictive)
    if is_classes(one):
        raise ValueError(
            "`predictive_band` is for regressions. Received: classes. Over two inputs see "
            "`decision_boundary`, of single rows `examples`."
        )
    at, is_curve = _column(x, feature, len(one.mean), "x")
    points = None
    if y is not None:
        points = _data(one, at, y, x_data, feature, output)
    order: Any = np.argsort(at, kind="stable")
    most, rows = _MOST_ROWS if is_curve else _MOST_INTERVALS, len(order)
    if rows > most:
        order = order[np.linspace(0, rows - 1, most).astype(int)]
    if not is_curve and x_data is None and points is not None:
        points = points[0][order], _side_by_side(at[order])  # each with its interval
    every = at, one_output("predictive_band", one.mean, output)
    at = at[order]
    bands: dict[str, Any] = {}
    if isinstance(one, Predictive):
        one, order = Predictive(one.draws[:, order], one.likelihood), slice(None)
        bands["mean"] = one.interval(coverage, of="mean")
    if not isinstance(one, Predictive) or one.likelihood is not None:
        bands["y"] = one.interval(coverage)
    mean = one_output("predictive_band", one.mean, output)[order]
    bands = {
        name: [one_output("predictive_band", end, output)[order] for end in ends]
        for name, ends in bands.items()
    }
    share = f"{coverage:.0%}"
    names = {
        "y": f"an observation ({share})",
        "mean": f"its mean: doubt about the weights ({share})",
    }
    with one_axes(ax) as ax:
        if not is_curve:
            if rows > most:
                pale = {"color": GREY, "alpha": 0.35, "markersize": 2.5}
                ax.plot(*every, ".", zorder=0, label=f"means of all {rows} rows", **pale)
            _draw_intervals(ax, _side_by_side(at), mean, bands, names)
        elif "y" in bands:
            low, high = bands["y"]
            ax.fill_between(at, low, high, color=BLUE, alpha=0.18, linewidth=0, label=names["y"])
            for edge in (low, high):
                ax.plot(at, edge, color=BLUE, linewidth=0.8, linestyle="--")
        if is_curve and "mean" in bands:
            style = {"color": BLUE, "alpha": 0.5, "linewidth": 0, "label": names["mean"]}
            ax.fill_between(at, *bands["mean"], **style)
        if points is not None:
            targets, where = points
            style = {"alpha": 0.4, "markersize": 2} if len(targets) > _MANY else {}
            style = {"markersize": 3.5, "alpha": 0.85, **style}
            if not is_curve and x_data is None:  # over the intervals, by another mark
                style = {"marker": "x", "linestyle": "none", "markersize": 5}
                ax.plot(where, targets, color=INK, zorder=4, label="data", **style)
            else:
                ax.plot(where, targets, ".", color=INK, zorder=1.9, label="data", **style)
        if is_curve:
            ax.plot(at, mean, color=INK, linewidth=1.6, linestyle="-", label="mean")
        ax.set(xlabel="x" if is_curve else f"x[:, {feature}]", ylabel="y")
        ax.margins(x=0.01)
        legend_above(ax, 2)
    return ax


def _draw_intervals(ax: Any, at: Any, mean: Any, bands: Any, names: Any) -> None:
    """Of each row its own, with a dot for its mean."""
    for name, width, alpha in (("y", 1.0, 1.0), ("mean", 4.0, 0.5)):
        if name in bands:
            style = {"color": BLUE, "linewidth": width, "alpha": alpha, "label": names[name]}
            ax.vlines(at, *bands[name], **style)
    face = {"color": BLUE, "markerfacecolor": "white", "markersize": 4}
    ax.plot(at, mean, "o", linestyle="none", zorder=3, label="mean", **face)


def _side_by_side(at: Any) -> Any:
    """Sorted places, those that are the same spread over a part of the room up to the next."""
    values, first, count = np.unique(at, return_index=True, return_counts=True)
    room = 0.6 * np.diff(values).min() if len(values) > 1 else 1.0
    number = np.arange(len(at)) - np.repeat(first, count)
    many = np.repeat(count, count)
    return at + room * ((number + 0.5) / many - 0.5)


def _column(x: Any, feature: int | None, rows: int, name: str) -> tuple[Any, bool]:
    """The places (rows,), and whether they are all that differs from row to row."""
    x = as_array(x)
    flat = x.reshape(len(x), -1)
    if flat.shape[1] != 1 and feature is None:
        raise ValueError(
            f"`{name}` of `predictive_band` has {flat.shape[1]} columns, and one is drawn along. "
            "Say which: feature=0."
        )
    if len(flat) != rows:
        raise ValueError(
            f"`{name}` of `predictive_band` must have {rows} rows. Received: {len(flat)}."
        )
    if flat.shape[1] == 1:
        return flat[:, 0].astype("float64"), True
    if isinstance(feature, bool) or not -flat.shape[1] <= (feature or 0) < flat.shape[1]:
        raise ValueError(
            f"`feature` of `predictive_band` must be the number of one of the {flat.shape[1]} "
            f"columns of `{name}`. Received: feature={feature!r}."
        )
    others = np.delete(flat, feature, axis=1)  # type: ignore[arg-type]
    return flat[:, feature].astype("float64"), len(flat) > 1 and bool(np.all(others == others[0]))


def _data(
    one: Any, at: Any, y: Any, x_data: Any, feature: int | None, output: int
) -> tuple[Any, Any]:
    """Targets and where they stand."""
    if x_data is None:
        return one_output("predictive_band", numbers("predictive_band", y, one), output), at
    y = as_array(y, "y")
    return one_output("predictive_band", y, output), _column(x_data, feature, len(y), "x_data")[0]
