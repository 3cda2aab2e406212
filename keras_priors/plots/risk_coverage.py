"""What is gained where the least certain are left to others."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_priors.metrics.ranking import exact_cells
from keras_priors.plots.canvas import GREY, legend_above, one_axes
from keras_priors.plots.predictions import (
    is_array,
    is_classes,
    judged_classes,
    numbers,
    one_of_numbers,
    row_scores,
)
from keras_priors.predictive.predictive import Predictive
from keras_priors.utils.export import export

_MOST_POINTS = 1000
_REFERENCE = "reference"


@export()
def risk_coverage(
    y: Any,
    predictive: Any,
    *,
    score: Any = None,
    label: str | None = None,
    ax: Any = None,
) -> Any:
    """The error among the most certain share of the rows, as that share grows.

    Of classes the share of wrong predictions, of a regression the mean squared error. An
    uncertainty that knows what is wrong makes a line that rises from near zero; one that does not,
    a level one.
    Dotted: the best order, by the errors themselves, below which nothing can be. Dashed: the error
    of all rows, which a random order has everywhere. Called again on the same Axes it adds another
    line, and these two where they are others.

    Args:
        y: labels (N,), beside a `Predictive` one-hot rows too; or numbers in the shape of the
            predictions.
        predictive: `keras_priors.Predictive`; or an array of probabilities (N, C).
        score: by what the rows are ordered, the smallest first: string, a score of
            `keras_priors.ood_score` ("entropy" and "max_probability" of probabilities); or array
            (N,). Defaults to None: of classes "max_probability", of numbers "variance" (over
            several outputs its mean).
        label: str, the name of the line in the legend. Defaults to None: the legend names the best
            and the random order alone.
        ax: Axes. Defaults to None: a new figure.

    Returns:
        The Axes.

    Raises:
        TypeError: `predictive` is neither.
        ValueError: shapes that do not match; another `score`; a regression without
            likelihood or `score`.

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> p = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6]])
        >>> ax = kp.plots.risk_coverage([0, 0, 0], p)         # the last is wrong, and least certain
        >>> [round(float(v), 2) for v in ax.lines[-1].get_ydata()]
        [0.0, 0.0, 0.33]

    References:
        - Geifman and El-Yaniv, 2017, Selective classification for deep neural networks, section 2,
          arXiv:1705.08500.
    """
    errors, order_by, name = _errors(y, predictive)
    if score is not None:
        order_by = row_scores("risk_coverage", predictive, score, len(errors))
    if order_by is None:
        raise ValueError(
            "`risk_coverage` orders a regression by the variance of y*, which needs a likelihood. "
            f"Received: {predictive!r}. Give one, or `score`."
        )
    with one_axes(ax, (5.4, 3.6)) as ax:
        coverage, best = _risk_at_coverage(errors, np.argsort(np.argsort(errors, kind="stable")))
        drawn = [line for line in ax.lines if line.get_gid() == _REFERENCE]
        best_name, random_name = (None, None) if drawn else ("the best order", "a random order")
        risk = np.full(2, errors.mean())
        style = {"color": GREY, "gid": _REFERENCE}
        if not _is_there(drawn, risk):
            level = {"linewidth": 0.8, "linestyle": "--", "zorder": 0, "label": random_name}
            ax.plot([0.0, 1.0], risk, **style, **level)
        if not _is_there(drawn, best):
            dots = {"linewidth": 1.0, "linestyle": ":", "zorder": 1, "label": best_name}
            ax.plot(coverage, best, **style, **dots)
        ax.plot(*_risk_at_coverage(errors, order_by), label=label)
        ax.set(xlabel="share of the rows, the most certain first", ylabel=name, xlim=(0, 1))
        ax.set_ylim(bottom=0.0)
        legend_above(ax, 2)
    return ax


def _risk_at_coverage(errors: Any, score: Any) -> tuple[Any, Any]:
    """Shares (at most 1000), and the mean error of all rows that are at most so uncertain.

    Rows of the same uncertainty come together.
    """
    table = exact_cells(score, np.stack([np.ones(len(errors)), errors], axis=1))
    number, total = np.cumsum(table, axis=0).T
    risk = total / number
    at = np.unique(np.linspace(0, len(number) - 1, min(len(number), _MOST_POINTS)).astype(int))
    return number[at] / len(errors), risk[at]


def _is_there(lines: Any, values: Any) -> bool:
    """Whether one of these lines has the values, as of another line of the same predictions."""
    return any(np.array_equal(line.get_ydata(), values) for line in lines)


def _errors(y: Any, predictive: Any) -> tuple[Any, Any, str]:
    """Error of each row, its uncertainty or None, and the name of their mean."""
    owner = "risk_coverage"
    if not is_array(predictive):
        one = one_of_numbers(owner, predictive)
        if not is_classes(one):
            squares = np.square(one.mean - numbers(owner, y, one)).reshape(len(one.mean), -1)
            doubt = None
            if not isinstance(one, Predictive) or one.likelihood is not None:
                doubt = np.square(one.std).reshape(len(squares), -1).mean(axis=1)
            return squares.mean(axis=1), doubt, "mean squared error of these"
    labels, p = judged_classes(owner, y, predictive)
    wrong = p.argmax(axis=1) != labels
    return wrong.astype("float64"), 1.0 - p.max(axis=1), "share of wrong predictions among these"
