"""Axes in the house style: the one place that imports matplotlib."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

# What the style file has for lines, with a meaning.
INK, BLUE, ORANGE, GREY, PALE = "#222222", "#1b5a8c", "#e69f00", "#7f7f7f", "#d3dce3"
SIGNED, POSITIVE = "cividis", "Blues"
"""Maps of colours whose lightness rises or falls all the way: with a sign zero is grey."""

_STYLE = "keras_priors.plots.house"
# More powers of ten are not all named.
_MOST_DECADES = 8
# Read by a tick when it is made, which may be long after the picture: kept by the axis instead.
_OF_TICKS = {
    "size": "major.size",
    "width": "major.width",
    "color": "color",
    "labelcolor": "labelcolor",
    "labelsize": "labelsize",
}


def import_pyplot() -> Any:
    """`matplotlib.pyplot`; an ImportError that says how to install it."""
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError(
            "Pictures are drawn by matplotlib. Received: no module named matplotlib. Install it: "
            'pip install "keras-priors[plots]".'
        ) from error
    return pyplot


@contextmanager
def one_axes(ax: Any, size: tuple[float, float] = (6.4, 4.0)) -> Iterator[Any]:
    """The Axes to draw on: the given one, or that of a new figure; in it the house style holds."""
    with many_axes(None if ax is None else [_checked(ax)], 1, 1, size) as axes:
        yield axes.flat[0]


@contextmanager
def many_axes(
    ax: Any, rows: int, columns: int, size: tuple[float, float], **options: Any
) -> Iterator[Any]:
    """An array (rows, columns) of Axes: the given ones, in their order, or those of a new figure.

    Args:
        ax: array or sequence of as many Axes, or None.
        rows: integer.
        columns: integer.
        size: (width, height) of a new figure in inches.
        **options: for `matplotlib.pyplot.subplots`.
    """
    plt = import_pyplot()
    # Loads the backend, which in a notebook turns on that figures are shown at the end of a cell:
    # loaded by the first figure, within the style, that would be forgotten with the style.
    plt.draw_if_interactive()
    if ax is not None:
        given = [_checked(one) for one in np.asarray(ax, dtype=object).ravel()]
        if len(given) != rows * columns:
            raise ValueError(
                f"`ax` must hold {rows * columns} Axes, one for each panel. "
                f"Received: {len(given)}. Leave it out, or make them by plt.subplots({rows}, "
                f"{columns})."
            )
        with plt.style.context(_STYLE):
            yield np.array(given, dtype=object).reshape(rows, columns)
        return
    with plt.style.context(_STYLE):
        options = {"layout": "constrained", **options}
        figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, **options)
        for one in axes.flat:
            for which in ("x", "y"):
                own = {key: plt.rcParams[f"{which}tick.{name}"] for key, name in _OF_TICKS.items()}
                one.tick_params(axis=which, **own)
        try:
            yield axes
        except BaseException:
            plt.close(figure)  # a picture that could not be drawn is not left to be shown
            raise


def legend_above(ax: Any, ncols: int, **options: Any) -> None:
    """A legend over the Axes and over its title, also one that is set later.

    Where nothing lays the figure out there may be no room up there: it then stands inside.

    Args:
        ax: Axes.
        ncols: integer, names beside each other.
        **options: for `Axes.legend`.
    """
    if ax.figure.get_layout_engine() is None:
        framed = {"frameon": True, "framealpha": 0.9, "edgecolor": PALE}
        ax.legend(loc="best", **framed, **options)
        return
    legend = ax.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=ncols, **options)
    # What a legend asks for whenever it is drawn: a title may come after it.
    legend.get_bbox_to_anchor = functools.partial(_over_titles, ax)


def one_legend(axes: Any, **options: Any) -> None:
    """A legend for all Axes of a new figure, above them, with each name once.

    Args:
        axes: sequence of Axes.
        **options: for `Figure.legend`.
    """
    named: dict[str, Any] = {}
    for one in axes:
        handles, labels = one.get_legend_handles_labels()
        named |= dict(zip(labels, handles, strict=True))
    if named:
        options = {"ncols": len(named), **options}
        axes[0].figure.legend(named.values(), named, loc="outside upper left", **options)


def _over_titles(ax: Any) -> Any:
    """The line over the Axes and its titles, in pixels."""
    from matplotlib.text import Text
    from matplotlib.transforms import Bbox

    box, own = ax.get_window_extent(), set(ax.texts)
    titles = [
        one
        for one in ax.get_children()
        if isinstance(one, Text) and one not in own and one.get_text()
    ]
    top = max([box.y1, *(title.get_window_extent().y1 for title in titles)])
    return Bbox.from_extents(box.x0, top, box.x1, top)


def logarithmic(axis: Any) -> None:
    """At least two plain numbers on a logarithmic axis: 0.2, and not 2 × 10^-1.

    They are chosen whenever the axis is drawn, since Axes that share it may widen it later.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    locator: Any = LogLocator()
    formatter: Any = FuncFormatter(_plain)
    # What an axis asks for; functions of the module, as a figure is pickled with them.
    locator.tick_values = _log_ticks
    formatter.format_ticks = _plain_all
    axis.set_major_locator(locator)
    axis.set_major_formatter(formatter)
    axis.set_minor_formatter(NullFormatter())


def _log_ticks(low: float, high: float) -> Any:
    """Powers of ten; within two of them 1, 2, 5 too; where these are too few, even steps."""
    from matplotlib.ticker import MaxNLocator

    low, high = sorted((low, high))
    decades = np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    if high >= 100.0 * low:
        return 10.0 ** decades[:: -(-len(decades) // _MOST_DECADES)]
    ticks = (10.0 ** decades[:, None] * [1.0, 2.0, 5.0]).ravel()
    slack = 1e-9 * (high - low)  # a tick at an end is in the picture
    if np.sum((ticks >= low - slack) & (ticks <= high + slack)) >= 2:
        return ticks
    return MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(low, high)


def _plain(value: float, _: Any) -> str:
    return f"{value:g}"


def _plain_all(values: Any) -> list[str]:
    """In as many digits as tell them apart."""
    for digits in range(6, 17):
        found = [f"{value:.{digits}g}" for value in values]
        if len(set(found)) == len(found):
            break
    return found


def bare(ax: Any) -> None:
    """Without ticks, and with a thin frame, as images are shown."""
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set(visible=True, color=PALE, linewidth=0.6)


def _checked(ax: Any) -> Any:
    from matplotlib.axes import Axes

    if not isinstance(ax, Axes):
        raise TypeError(
            "`ax` must be a matplotlib Axes, or for several panels an array of them. Received: "
            f"{type(ax).__name__}. Write, for example, figure, ax = plt.subplots()."
        )
    return ax
