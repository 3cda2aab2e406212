"""Rows sorted by a score: tables of sums over cells of equal score, and what is read from them.

A table has its cells in ascending order of the score. Exact, there is a cell for each distinct
value; in a metric of `fit`, which does not see all rows at once, `n` cells of equal width.
"""

from typing import Any

import numpy as np

from keras_priors.metrics.arithmetic import NUMPY, ratio
from keras_priors.utils.export import share


@share
def exact_cells(score: Any, columns: Any) -> Any:
    """Sums (cells, k) over the rows of each distinct score."""
    distinct, index = np.unique(score, return_inverse=True)
    return NUMPY.segment_sum(columns, index, len(distinct))


def equal_cells(xp: Any, score: Any, columns: Any, high: float, n: int) -> Any:
    """Sums (n, k) over cells of equal width from 0 to `high`."""
    index = xp.clip(xp.floor(score * (n / high)), 0, n - 1)
    return xp.segment_sum(columns, xp.cast(index, "int32"), n)


def area_under_roc(xp: Any, table: Any) -> Any:
    """P(score of a positive > that of a negative) + half that of a tie; columns (w, w positive)."""
    positive, negative = table[:, 1], table[:, 0] - table[:, 1]
    below = xp.cumsum(negative) - negative
    won = xp.sum(positive * (below + 0.5 * negative))
    # 0 / 0, which is NaN, where all rows are of one kind.
    return won / (xp.sum(positive) * xp.sum(negative))


def average_precision(xp: Any, table: Any) -> Any:
    """sum_k (recall_k - recall_(k - 1)) precision_k from the highest score down."""
    weights, positive = xp.flip(table[:, 0]), xp.flip(table[:, 1])
    precision = ratio(xp, xp.cumsum(positive), xp.cumsum(weights))
    return xp.sum(positive * precision) / xp.sum(positive)


def mean_selective_risk(xp: Any, table: Any) -> Any:
    """The mean over rows of the risk of all rows with a score not above theirs; (w, w loss)."""
    weights = table[:, 0]
    risk = ratio(xp, xp.cumsum(table[:, 1]), xp.cumsum(weights))
    return xp.sum(weights * risk) / xp.sum(weights)


def risk_at_coverage(xp: Any, table: Any, coverage: float) -> Any:
    """The mean loss of the share `coverage` of rows with the lowest scores; (w, w loss).

    Of the cell in which the share ends the part that is needed counts, as if its rows came in
    random order.
    """
    weights = table[:, 0]
    wanted = coverage * xp.sum(weights)
    taken = xp.clip(wanted - (xp.cumsum(weights) - weights), xp.zeros_like(weights), weights)
    return xp.sum(ratio(xp, taken * table[:, 1], weights)) / wanted


def equal_mass_gap(xp: Any, table: Any, n_bins: int) -> Any:
    """The expected gap over bins of equal weight; columns (w, w event, w probability).

    A cell belongs to the bin in which its middle lies.
    """
    weights = table[:, 0]
    middle = (xp.cumsum(weights) - 0.5 * weights) / xp.sum(weights)
    index = xp.clip(xp.floor(middle * n_bins), 0, n_bins - 1)
    bins = xp.segment_sum(table, xp.cast(index, "int32"), n_bins)
    return xp.sum(xp.abs(bins[:, 1] - bins[:, 2])) / xp.sum(weights)
