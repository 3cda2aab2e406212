"""Methods side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_priors.plots.canvas import BLUE, GREY, logarithmic, many_axes
from keras_priors.utils.export import export

_HIGHER_IS_BETTER = ("accuracy", "elpd_loo", "auroc", "aupr")
_COLUMNS = 4


@export()
def compare(table: Any, columns: Sequence[str] | None = None, *, ax: Any = None) -> Any:
    """The numbers of `keras_priors.compare`, one panel a number and one line a candidate.

    A hollow dot is the best of its panel: the lowest, but for accuracy and `elpd_loo` the highest;
    of `coverage` the one that is nearest to 0.9, at the dashed line. Seconds have a logarithmic
    axis.

    Args:
        table: an `inference.Table`, or a mapping from names to mappings from names to numbers.
        columns: sequence of str, which numbers. Defaults to None: all.
        ax: array of as many Axes. Defaults to None: a new figure.

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
    known = list(dict.fromkeys(key for row in table.values() for key in row))
    chosen = known if columns is None else [columns] if isinstance(columns, str) else list(columns)
    unknown = [name for name in chosen if name not in known]
    if not chosen or unknown:
        raise ValueError(
            f"`columns` must name numbers of the table: {', '.join(known) or 'it has none'}. "
            f"Received: columns={columns!r}."
        )
    wide = min(_COLUMNS, len(chosen)) if ax is None else len(chosen)
    rows = -(-len(chosen) // wide)
    size = (2.6 * wide + 1.0, rows * (0.9 + 0.3 * len(table)))
    with many_axes(ax, rows, wide, size) as axes:
        drawn = axes.ravel()[: len(chosen)]
        for one in axes.ravel()[len(chosen) :]:
            one.remove()
        for k, (one, name) in enumerate(zip(drawn, chosen, strict=True)):
            values = [float(row.get(name, np.nan)) for row in table.values()]
            _draw(one, name, values)
            labels = list(table) if k % wide == 0 else [""] * len(table)
            one.set_yticks(range(len(table)), labels)
    return drawn


def _draw(ax: Any, name: str, values: list[float]) -> None:
    last = name.rpartition("/")[2]
    for row in range(len(values)):
        ax.axhline(row, color=GREY, linewidth=0.4, linestyle=":", zorder=0)
    if last == "coverage":
        ax.axvline(0.9, color=GREY, linewidth=1.0, linestyle="--", zorder=1)
    ax.plot(values, range(len(values)), "o", color=BLUE, markersize=7, zorder=2)
    ax.set(title=name, ylim=(len(values) - 0.5, -0.5))
    ax.margins(x=0.1)
    if last.endswith("_s") and np.nanmin(values) > 0:
        ax.set_xscale("log")
        logarithmic(ax.xaxis)
    else:
        ax.xaxis.get_major_locator().set_params(nbins=4)
    if not last.endswith("_s") and np.any(np.isfinite(values)):
        best = _best(last, np.asarray(values))
        ax.plot(values[best], best, "o", color=BLUE, markerfacecolor="white", markersize=7)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)


def _best(name: str, values: Any) -> int:
    if name == "coverage":
        return int(np.nanargmin(np.abs(values - 0.9)))
    return int(np.nanargmax(values) if name in _HIGHER_IS_BETTER else np.nanargmin(values))
