"""Methods side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from keras_priors.inference.table import Table
from keras_priors.plots.canvas import GREY, INK, logarithmic, many_axes, one_legend
from keras_priors.utils.export import export

_COLUMNS = 4
# A candidate is off the axis where it would press the better half into a tenth of it, ...
_FAR = 10.0
# ... and is worse by more than half of the best: differences below a twentieth are not blown up.
_CLOSE = 0.05


@export()
def compare(table: Any, columns: Sequence[str] | None = None, *, ax: Any = None) -> Any:
    """The numbers of `keras_priors.compare`, one panel a number and one line a candidate.

    As `Table.plot` draws them, with bars of two standard errors to each side where these are known,
    in the house style. A hollow dot is the best of its panel, as `Table.sort` has it, and below the
    axis stands which way is better (of a metric of your own the lowest); of `coverage` the best is
    the one nearest to 0.9, at the dashed line. Seconds have a logarithmic axis. Candidates so bad
    that they would press the better half into a tenth of the axis, and that are worse by more than
    half of the best number, are an arrow at its end with their number (and its two standard
    errors); so is one that is not finite. A dash is a number that a candidate does not have.

    Args:
        table: an `inference.Table`, or a mapping from names to mappings from names to numbers.
        columns: sequence of str, which numbers. Defaults to None: all but `nll_diff` and `dse`.
        ax: array of as many Axes; there is then no legend of dots, bars and arrows. Defaults to
            None: a new figure.

    Returns:
        Array of Axes, one for each number.

    Raises:
        TypeError: `table` is neither.
        ValueError: no line, no such number.

    Example:
        >>> import keras_priors as kp
        >>> table = kp.inference.Table({"map": {"nll": 0.5}, "laplace": {"nll": 0.4}})
        >>> (ax,) = kp.plots.compare(table)
        >>> ax.get_title(), [label.get_text() for label in ax.get_yticklabels()]
        ('nll', ['map', 'laplace'])
    """
    if not isinstance(table, Mapping) or not all(isinstance(r, Mapping) for r in table.values()):
        raise TypeError(
            "`compare` takes the table that keras_priors.compare returns. Received: "
            f"{type(table).__name__}."
        )
    if not isinstance(table, Table):
        table = Table({name: dict(row) for name, row in table.items()})
    # As the panel of `nll` is, on another axis; and a width, which is no place.
    shown = [name for name in table.columns if name not in ("nll_diff", "dse")]
    chosen = shown if columns is None else columns
    chosen = [chosen] if isinstance(chosen, str) else list(chosen)
    if not chosen:
        raise ValueError("`compare` needs a table with numbers. Received: none.")
    wide = min(_COLUMNS, len(chosen)) if ax is None else len(chosen)
    rows = -(-len(chosen) // wide)
    size = (2.6 * wide + 1.0, 0.3 + rows * (1.1 + 0.3 * len(table)))
    with many_axes(ax, rows, wide, size) as axes:
        drawn = axes.ravel()[: len(chosen)]
        for one in axes.ravel()[len(chosen) :]:
            one.remove()
        table.plot(chosen, axes=drawn)
        for k, (one, name) in enumerate(zip(drawn, chosen, strict=True)):
            _dress(one, table, name)
            if k % wide:
                one.set_yticks(range(len(table)), [""] * len(table))
        if ax is None:
            one_legend(drawn)
    return drawn


def _dress(ax: Any, table: Table, name: str) -> None:
    """Where the best is, which way is better, and an axis that fits."""
    kind, names = table._kind(name), list(table)
    for row in range(len(names)):
        ax.axhline(row, color=GREY, linewidth=0.4, linestyle=":", zorder=0)
    ax.margins(x=0.1)
    values = [table[one].get(name, math.nan) for one in names]
    bars = [2.0 * table.standard_errors[one].get(name, 0.0) for one in names]
    if any(bars):
        ax.containers[0].set_label("± two standard errors")
    if kind.endswith("_s"):
        ax.set_xlabel("seconds", fontsize=9)
        if all(v > 0.0 for v in values if not math.isnan(v)):
            ax.set_xscale("log")
            logarithmic(ax.xaxis)
    else:
        ax.xaxis.get_major_locator().set_params(nbins=4)
        _judge(ax, table, name, values, bars)
    middle = {"ha": "center", "va": "center", "transform": ax.get_yaxis_transform()}
    for row, value in enumerate(values):
        if math.isnan(value):
            ax.text(0.5, row, "–", color=GREY, **middle)
    if kind == "coverage":
        ax.axvline(0.9, color=GREY, linewidth=1.0, linestyle="--", zorder=1)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)


def _judge(ax: Any, table: Table, name: str, values: list[float], bars: list[float]) -> None:
    """The best hollow, the very bad ones at the edge, and a word for which way is better."""
    best = table[next(iter(table.sort(name)))].get(name, math.nan)
    style = {"color": INK, "markerfacecolor": "white", "markersize": 6, "linestyle": "none"}
    if math.isfinite(best):
        rows = [row for row, value in enumerate(values) if value == best]
        ax.plot([best] * len(rows), rows, marker="o", zorder=3, label="the best", **style)
    if table._kind(name) == "coverage":
        ax.set_xlabel("nearest to 0.9 is best", fontsize=9)
        return
    sign = -1.0 if table._higher_is_better(name) else 1.0
    is_width = table._says_no_more_than_width(name)
    lower = "← lower is better" + (" at equal coverage" if is_width else "")
    ax.set_xlabel(lower if sign > 0 else "higher is better →", fontsize=9)
    far = _far([sign * (v - best) for v in values], bars, abs(best))
    if not far:
        return
    kept = [row for row, v in enumerate(values) if row not in far and math.isfinite(v)]
    ends = [sign * (values[k] + side * bars[k]) for k in kept for side in (-1, 1)]
    low, high = min(ends), max(*ends, sign * best + _CLOSE * abs(best))
    margin = 0.1 * (high - low)
    ax.set_xlim(sorted((sign * (low - margin), sign * (high + margin))))
    side = "right" if sign > 0 else "left"
    at, lead = {"right": (0.98, 0.95), "left": (0.02, 0.05)}[side]
    along = {"transform": ax.get_yaxis_transform()}
    arrow = {"marker": ">" if sign > 0 else "<", "color": INK, "markersize": 5}
    ax.plot([at] * len(far), far, **arrow, linestyle="none", label="far off: its number", **along)
    for row in far:
        error = f" ± {bars[row]:.2g}" if bars[row] else ""
        text = {"ha": side, "va": "center", "fontsize": 8, **along}
        ground = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
        ax.text(lead, row, f"{values[row]:.3g}{error}", bbox=ground, **text)


def _far(worse: list[float], bars: list[float], size: float) -> list[int]:
    """Rows that are off the axis.

    Args:
        worse: by how much each row is worse than the best; NaN where it has no number.
        bars: half the length of the bar of each.
        size: absolute value of the best.
    """
    order = sorted((w, row) for row, w in enumerate(worse) if math.isfinite(w))
    reach, far = _CLOSE * size, [row for row, w in enumerate(worse) if w == math.inf]
    for place, (distance, row) in enumerate(order):
        if place >= max(2, math.ceil(len(order) / 2)) and distance > _FAR * reach > 0.0:
            return sorted(far + [row for _, row in order[place:]])
        reach = max(reach, distance + bars[row])
    return sorted(far)
