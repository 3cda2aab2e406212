"""What is thought of single rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_priors.functional.as_array import as_array
from keras_priors.likelihoods.bernoulli import Bernoulli
from keras_priors.plots.canvas import BLUE, GREY, INK, ORANGE, PALE, many_axes, one_legend
from keras_priors.plots.predictions import has_classes, judged_classes, one_predictive
from keras_priors.utils.export import export
from keras_priors.utils.parameters import number_between

_COLUMNS = 3


@export()
def class_probabilities(
    predictive: Any,
    rows: Any,
    y: Any = None,
    *,
    coverage: float = 0.9,
    names: Sequence[str] | None = None,
    ax: Any = None,
) -> Any:
    """The probability of each class of single rows, and how much the draws of the weights differ.

    Bars: p(y* = c). Lines: the central interval of p(y* = c | f_s) over the draws; a point estimate
    has none. Dark: the true class, where y is given; hatched: a wrong class that was preferred. A
    legend above says so.

    Args:
        predictive: `keras_priors.Predictive` of classes, with one class a row.
        rows: integer, or sequence or array of integers, which rows.
        y: labels (N,) of all rows, or one-hot rows. Defaults to None: no class is marked.
        coverage: float in (0, 1). Defaults to 0.9.
        names: sequence of str, the names of the classes; bars then lie. Defaults to None: numbers.
        ax: Axes, or an array of one for each row; there is then no legend, and `ax.legend()` makes
            one. Defaults to None: a new figure.

    Returns:
        Array of Axes, one for each row.

    Raises:
        TypeError: `predictive` is no `Predictive` of one output.
        ValueError: no classes, rows that there are not, shapes that do not match.

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> p = kp.Predictive(np.zeros((1, 2, 4)), kp.likelihoods.Categorical())
        >>> (ax,) = kp.plots.class_probabilities(p, 1)
        >>> [float(bar.get_height()) for bar in ax.patches]
        [0.25, 0.25, 0.25, 0.25]
    """
    one = one_predictive("class_probabilities", predictive)
    coverage = number_between("class_probabilities", "coverage", coverage, 0.0, 1.0)
    if not has_classes(one):
        raise ValueError(
            "`class_probabilities` is for classes: the likelihoods Categorical, Bernoulli and "
            f"Ordinal. Received: {one.likelihood!r}. Of a regression see `predictive_band`."
        )
    chosen = np.atleast_1d(np.asarray(rows))
    count = len(one.mean)
    if not (chosen.size and chosen.dtype.kind in "iu" and np.all((chosen >= 0) & (chosen < count))):
        raise ValueError(
            f"`rows` must be numbers of rows from 0 to {count - 1}. Received: {rows!r}."
        )
    p = _of_draws(one, chosen)
    labels = None if y is None else judged_classes("class_probabilities", as_array(y, "y"), one)[0]
    if names is not None and len(names) != p.shape[2]:
        raise ValueError(
            f"`names` must name the {p.shape[2]} classes. Received: {len(names)} names."
        )
    lines = -(-len(chosen) // _COLUMNS) if ax is None else 1
    columns = -(-len(chosen) // lines)  # four are two and two
    height = 2.0 if names is None else 0.8 + 0.22 * p.shape[2]
    size = (max(5.0, 2.8 * columns + 0.6), height * lines + 0.7)
    shared = {"sharex": True, "sharey": True}
    with many_axes(ax, lines, columns, size, **shared) as axes:
        for one_axes in axes.ravel()[len(chosen) :]:
            one_axes.remove()
        drawn = axes.ravel()[: len(chosen)]
        for k, each in enumerate(drawn):
            truth = None if labels is None else int(labels[chosen[k]])
            _draw(each, p[:, k], truth, coverage, names)
            each.set_title(f"row {chosen[k]}", fontsize=10)
            if ax is None:
                _name_axes(each, k % columns == 0, k + columns >= len(chosen), names)
        if ax is None:
            one_legend(drawn)
    return drawn


def _of_draws(one: Any, rows: Any) -> Any:
    """p(y* = c | f_s), (S, rows, C)."""
    draws = one.draws[..., None] if one.draws.ndim == 2 else one.draws
    p = keras.ops.convert_to_numpy(one.likelihood.probabilities(draws[:, rows]))
    p = p.astype("float64")
    single = isinstance(one.likelihood, Bernoulli)
    if p.ndim != 3 or (single and p.shape[2] != 1):
        raise ValueError(
            "`class_probabilities` shows rows with one class each. Received: predictions of shape "
            f"{one.mean.shape}."
        )
    return np.concatenate([1.0 - p, p], axis=2) if single else p


def _name_axes(ax: Any, first: bool, last: bool, names: Sequence[str] | None) -> None:
    """The names; and the numbers at the lowest of each column, in whichever line that is."""
    below, beside = ("class", "probability") if names is None else ("probability", "")
    if first:
        ax.set_ylabel(beside)
    if last:
        ax.set_xlabel(below)
        ax.tick_params(axis="x", labelbottom=True)


def _draw(ax: Any, p: Any, truth: int | None, coverage: float, names: Sequence[str] | None) -> None:
    mean, place = p.mean(axis=0), np.arange(p.shape[1])
    guess = int(mean.argmax())
    colours, hatches, said = [PALE] * len(mean), [""] * len(mean), [""] * len(mean)
    if truth is not None:
        colours[truth], said[truth] = BLUE, "the true class"
        if guess != truth:
            colours[guess], hatches[guess], said[guess] = ORANGE, "////", "preferred, but wrong"
    ends = np.quantile(p, [0.5 * (1.0 - coverage), 0.5 * (1.0 + coverage)], axis=0)
    style = {"color": colours, "hatch": hatches, "edgecolor": GREY, "linewidth": 0.5}
    style["label"] = [name or "_" for name in said]  # what begins with "_" is in no legend
    doubt = {"color": INK, "linewidth": 1.2, "label": f"{coverage:.0%} of the draws"}
    if names is None:
        ax.bar(place, mean, 0.75, **style)
        if len(p) > 1:
            ax.vlines(place, *ends, **doubt)
        ax.set(ylim=(0.0, 1.02), yticks=[0.0, 0.5, 1.0])
        ax.set_xticks(place[:: -(-len(place) // 12)])
        ax.tick_params(axis="x", length=0)
        return
    ax.barh(place, mean, 0.75, **style)
    if len(p) > 1:
        ax.hlines(place, *ends, **doubt)
    ax.set(xlim=(0.0, 1.02), xticks=[0.0, 0.5, 1.0], ylim=(len(place) - 0.5, -0.5))
    ax.set_yticks(place, names)
    ax.tick_params(axis="y", length=0)
