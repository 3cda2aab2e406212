"""The posterior of every weight, layer by layer."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_priors.plots.beliefs import Belief, beliefs
from keras_priors.plots.canvas import BLUE, GREY, INK, PALE, many_axes
from keras_priors.plots.prior_curves import is_same_of_each, log_density, quantiles
from keras_priors.utils.export import export
from keras_priors.utils.parameters import whole_number
from keras_priors.utils.warn import warn

_MOST_PANELS = 12
_COLUMNS = 3
_MOST_SHOWN = 400
_LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
_POINTS = 200
_BOTH = ("prior", "posterior")


@export()
def weights(source: Any, paths: Any = None, *, max_ridges: int = 16, ax: Any = None) -> Any:
    """The posterior of each weight, one panel a tensor, with its prior behind.

    Up to `max_ridges` elements are ridges: each has its density above its index, all of one height;
    the dashed line is the density of the prior, to the scale of the widest. A point is a bar. More
    elements are bands over all of them in the order of their means: central 50% and 90% of each
    element, the line the median, hatched the central 90% of the prior. Of more than 400 elements
    every so many-th is taken. What is wide has not been learned; what is as wide as the prior, not
    at all.

    Args:
        source: built `keras.Model` with variational layers, or an `inference.Posterior`.
        paths: str or sequence of str, which weights: paths as of `keras_priors.get_priors`, or
            patterns such as "*/kernel". Defaults to None: all, of which 12 are drawn.
        max_ridges: integer. Defaults to 16.
        ax: Axes, or an array of one for each weight. Defaults to None: a new figure.

    Returns:
        Array of Axes, one for each weight.

    Raises:
        TypeError: `source` is neither.
        ValueError: a model without posteriors, no such path, another number of Axes.

    Example:
        >>> import keras
        >>> import keras_priors as kp
        >>> model = keras.Sequential([keras.Input((3,)), kp.VariationalDense(2, name="dense")])
        >>> [ax.get_title() for ax in kp.plots.weights(model)]
        ['dense/kernel, 3 × 2', 'dense/bias, 2']
    """
    max_ridges = whole_number("weights", "max_ridges", max_ridges)
    found = beliefs("weights", source, paths)
    if len(found) > _MOST_PANELS and ax is None:
        warn(
            f"{len(found)} weights have a posterior, and the first {_MOST_PANELS} are drawn. "
            f'Choose them by `paths`, such as paths="{found[-1].path}".'
        )
        found = found[:_MOST_PANELS]
    columns = min(len(found), _COLUMNS)
    rows = -(-len(found) // columns)
    if ax is None:
        with many_axes(None, rows, columns, (3.4 * columns, 2.8 * rows)) as axes:
            for one in axes.flat[len(found) :]:
                one.remove()
            drawn = axes.flat[: len(found)]
            _draw(drawn, found, max_ridges)
            _add_legend(drawn)
    else:
        with many_axes(ax, 1, len(found), (1, 1)) as axes:
            drawn = axes.ravel()
            _draw(drawn, found, max_ridges)
    return drawn


def _draw(axes: Any, found: list[Belief], max_ridges: int) -> None:
    for one, belief in zip(axes, found, strict=True):
        (_ridges if belief.size <= max_ridges else _bands)(one, belief)
        one.set_title(belief.title)


def _add_legend(axes: Any) -> None:
    """One for all panels; where there are ridges and bands, one name for what is the same."""
    named: dict[str, Any] = {}
    for one in axes:
        for handle, label in zip(*one.get_legend_handles_labels(), strict=True):
            named.setdefault(label, handle)
    if "median" in named and "posterior" in named:
        bands = [f"{name}, 90%" for name in _BOTH]
        named = {
            **{
                f"{name} (bands: 90%)": (named.pop(band), named.pop(name))
                for name, band in zip(_BOTH, bands, strict=True)
                if name in named and band in named
            },
            **named,
        }
    axes[0].figure.legend(named.values(), named, loc="outside upper left", ncols=len(named))


def _ridges(ax: Any, belief: Belief) -> None:
    low, high = belief.quantiles((0.001, 0.999), np.arange(belief.size))
    ends = [low.min(), high.max()]
    if belief.prior is not None:
        inner = quantiles(belief.prior, (0.05, 0.95), belief.shape)
        ends = [min(ends[0], inner[0].min()), max(ends[1], inner[1].max())]
    margin = 0.05 * ((ends[1] - ends[0]) or 1.0)
    at = np.linspace(ends[0] - margin, ends[1] + margin, _POINTS)
    behind = None
    if belief.prior is not None and is_same_of_each(belief.prior, belief.shape):
        behind = np.exp(log_density(belief.prior, at, belief.shape))
        behind = 0.85 * behind / max(behind[np.isfinite(behind)].max(), 1e-300)
        behind = np.minimum(behind, 0.85)
    for k in range(belief.size):
        foot = belief.size - 1.0 - k
        ax.axhline(foot, color=PALE, linewidth=0.6, linestyle="-", zorder=0)
        if behind is not None:
            label = "prior" if k == 0 else None
            style = {"color": GREY, "linewidth": 0.9, "linestyle": "--", "label": label}
            ax.plot(at, foot + behind, zorder=1, **style)
        # A density that is narrow beside the axis has its own points.
        own = np.union1d(at, np.linspace(low[k], high[k], _POINTS))
        density = belief.density(own, k)
        if density is None:
            ax.vlines(belief.mean.flat[k], foot, foot + 0.85, color=BLUE, linewidth=2, zorder=3)
            continue
        height = foot + 0.85 * density / density.max()
        label = "posterior" if k == 0 else None
        fill = {"color": BLUE, "alpha": 0.35, "linewidth": 0, "label": label}
        ax.fill_between(own, foot, height, zorder=2, **fill)
        ax.plot(own, height, color=BLUE, linewidth=1.1, linestyle="-", zorder=3)
    _name_ridges(ax, belief)
    ax.set(xlim=(at[0], at[-1]), ylim=(-0.15, belief.size + 0.05), xlabel="weight")
    ax.spines["left"].set_visible(False)


def _name_ridges(ax: Any, belief: Belief) -> None:
    names = [
        f"[{', '.join(map(str, np.unravel_index(k, belief.shape)))}]" if belief.shape else ""
        for k in range(belief.size)
    ]
    step = -(-belief.size // 12)  # more names would lie over each other
    places = range(0, belief.size, step)
    ax.set_yticks([belief.size - 1.0 - k for k in places], [names[k] for k in places])
    ax.tick_params(axis="y", length=0)


def _bands(ax: Any, belief: Belief) -> None:
    order = np.argsort(belief.mean.reshape(-1), kind="stable")
    shown = order[np.linspace(0, belief.size - 1, min(belief.size, _MOST_SHOWN)).astype(int)]
    place = np.linspace(0.0, 1.0, len(shown))
    q05, q25, q50, q75, q95 = belief.quantiles(_LEVELS, shown)
    top, bottom = q95.max(), q05.min()
    if belief.prior is not None:
        low, high = quantiles(belief.prior, (0.05, 0.95), belief.shape)
        low, high = (v if v.size == 1 else v[shown] for v in (low, high))
        low, high = (np.broadcast_to(v, len(shown)) for v in (low, high))
        behind = ax.fill_between(
            place, low, high, facecolor="none", edgecolor=PALE, hatch="///", linewidth=0, zorder=0
        )
        behind.set_label("prior, 90%")
        # A prior with far tails would leave nothing to be seen of the posterior.
        reach = 3.0 * (top - bottom or 1.0)
        top, bottom = (
            min(max(top, high.max()), top + reach),
            max(min(bottom, low.min()), bottom - reach),
        )
        for edge in (low, high):
            ax.plot(place, edge, color=GREY, linewidth=0.9, linestyle="--", zorder=1)
    ax.fill_between(
        place, q05, q95, color=BLUE, alpha=0.3, linewidth=0, label="posterior, 90%", zorder=2
    )
    ax.fill_between(place, q25, q75, color=BLUE, alpha=0.6, linewidth=0, label="50%", zorder=3)
    ax.plot(place, q50, color=INK, linewidth=1.2, linestyle="-", label="median", zorder=4)
    margin = 0.04 * (top - bottom or 1.0)
    ax.set(xlim=(0, 1), ylim=(bottom - margin, top + margin), ylabel="weight")
    ax.set_xticks([0, 0.5, 1], ["lowest\nmean", "median", "highest\nmean"])
    for label, side in zip(ax.get_xticklabels(), ("left", "center", "right"), strict=True):
        label.set_horizontalalignment(side)
