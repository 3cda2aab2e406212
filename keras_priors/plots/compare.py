"""Methods side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from keras_priors.inference.table import Table
from keras_priors.plots.canvas import GREY, INK, logarithmic, many_axes
from keras_priors.utils.export import export

_COLUMNS = 4


@export()
def compare(table: Any, columns: Sequence[str] | None = None, *, ax: Any = None) -> Any:
    """The numbers of `keras_priors.compare`, one panel a number and one line a candidate.

    As `Table.plot` draws them, with bars of two standard errors where these are known, in the house
    style. A hollow dot is the best of its panel, as `Table.sort` has it; of `coverage` that is the
    one nearest to 0.9, at the dashed line. Seconds have a logarithmic axis.

    Args:
        table: an `inference.Table`, or a mapping from names to mappings from names to numbers.
        columns: sequence of str, which numbers. Defaults to None: all but `nll_diff` and `dse`.
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
    size = (2.6 * wide + 1.0, rows * (0.9 + 0.3 * len(table)))
    with many_axes(ax, rows, wide, size) as axes:
        drawn = axes.ravel()[: len(chosen)]
        for one in axes.ravel()[len(chosen) :]:
            one.remove()
        table.plot(chosen, axes=drawn)
        for k, (one, name) in enumerate(zip(drawn, chosen, strict=True)):
            _dress(one, table, name)
            if k % wide:
                one.set_yticks(range(len(table)), [""] * len(table))
    return drawn


def _dress(ax: Any, table: Table, name: str) -> None:
    """Where the best is, and an axis that fits."""
    kind, names = table._kind(name), list(table)
    for row in range(len(names)):
        ax.axhline(row, color=GREY, linewidth=0.4, linestyle=":", zorder=0)
    ax.margins(x=0.1)
    values = [row[name] for row in table.values() if name in row]
    if kind.endswith("_s") and min(values) > 0.0:
        ax.set_xscale("log")
        logarithmic(ax.xaxis)
    else:
        ax.xaxis.get_major_locator().set_params(nbins=4)
    if not kind.endswith("_s"):
        best = next(iter(table.sort(name)))
        place = table[best][name], names.index(best)
        ax.plot(*place, "o", color=INK, markerfacecolor="white", markersize=6, zorder=3)
    if kind == "coverage":
        ax.axvline(0.9, color=GREY, linewidth=1.0, linestyle="--", zorder=1)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
