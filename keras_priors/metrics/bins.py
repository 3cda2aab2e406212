"""Sums over bins of probability, and what calibration errors and Brier's parts make of them.

A table has the columns (weight, weight x event, weight x probability), and a row for each bin.
"""

from typing import Any

import keras
import numpy as np

from keras_priors.metrics.arithmetic import NUMPY, ratio
from keras_priors.utils.export import share

PARTS = ("reliability", "resolution", "uncertainty")


def _bin_of(xp: Any, probabilities: Any, n_bins: int) -> Any:
    """The bin ((b - 1) / n_bins, b / n_bins] of each, (M,); 0 is in the first."""
    # Edges are compared, not computed with: 0.6 * 15 is a little more than 9.
    dtype = keras.backend.standardize_dtype(probabilities.dtype)
    edges = xp.cast(np.linspace(0.0, 1.0, n_bins + 1)[1:-1], dtype)
    return xp.cast(xp.searchsorted(edges, probabilities, side="left"), "int32")


def columns(xp: Any, probabilities: Any, event: Any, weights: Any) -> Any:
    """(weight, weight x event, weight x probability), (M, 3)."""
    happened = xp.where(event, weights, xp.zeros_like(weights))
    return xp.stack([weights, happened, weights * probabilities], axis=1)


def top_label(xp: Any, labels: Any, probabilities: Any) -> tuple[Any, Any]:
    """The largest probability of each row, and whether its class came true."""
    right = xp.equal(xp.cast(xp.argmax(probabilities, axis=-1), labels.dtype), labels)
    return xp.max(probabilities, axis=-1), right


def top_label_table(xp: Any, labels: Any, probabilities: Any, weights: Any, n_bins: int) -> Any:
    """The table (n_bins, 3) of the predicted class."""
    confidence, right = top_label(xp, labels, probabilities)
    sums = columns(xp, confidence, right, weights)
    return xp.segment_sum(sums, _bin_of(xp, confidence, n_bins), n_bins)


def class_tables(xp: Any, labels: Any, probabilities: Any, weights: Any, n_bins: int) -> Any:
    """The tables (C, n_bins, 3) of each class against the others."""
    classes = probabilities.shape[-1]
    of_class = xp.arange(classes, dtype="int32")
    event = xp.equal(xp.cast(labels, "int32")[:, None], of_class)
    index = xp.reshape(_bin_of(xp, xp.reshape(probabilities, (-1,)), n_bins), (-1, classes))
    index = xp.reshape(index + n_bins * of_class, (-1,))
    # Not `broadcast_to`: TensorFlow knows no shape of rows that differ from batch to batch.
    each = weights[:, None] + xp.zeros_like(probabilities)
    flat = [xp.reshape(x, (-1,)) for x in (probabilities, event, each)]
    found = xp.segment_sum(columns(xp, *flat), index, n_bins * classes)
    return xp.reshape(found, (classes, n_bins, 3))


@share
def reliability_table(labels: Any, probabilities: Any, n_bins: int, of_class: int | None) -> Any:
    """The table (n_bins, 3) of the predicted class, or of one class, each row with the weight 1."""
    weights = np.ones(len(labels))
    if of_class is None:
        return top_label_table(NUMPY, labels, probabilities, weights, n_bins)
    return class_tables(NUMPY, labels, probabilities, weights, n_bins)[of_class]


def exact_class_tables(labels: Any, probabilities: Any, weights: Any) -> list[Any]:
    """One table for each class, with a row for each distinct probability."""
    found = []
    for c in range(probabilities.shape[-1]):
        distinct, index = np.unique(probabilities[:, c], return_inverse=True)
        table = columns(NUMPY, probabilities[:, c], labels == c, weights)
        found.append(NUMPY.segment_sum(table, index, len(distinct)))
    return found


def expected_gap(xp: Any, table: Any) -> Any:
    """sum_b (w_b / W) |frequency_b - mean probability_b|, over the axis of bins."""
    gaps = xp.sum(xp.abs(table[..., 1] - table[..., 2]), axis=-1)
    return gaps / xp.sum(table[..., 0], axis=-1)


def maximum_gap(xp: Any, table: Any) -> Any:
    """max_b |frequency_b - mean probability_b|."""
    return xp.max(ratio(xp, xp.abs(table[..., 1] - table[..., 2]), table[..., 0]), axis=-1)


def mean_class_gap(xp: Any, tables: Any) -> Any:
    """The mean of the expected gap over classes."""
    return xp.mean(expected_gap(xp, tables))


def brier_part(xp: Any, table: Any, part: str) -> Any:
    """A part of the Brier score, summed over the leading axes of the table."""
    weights, events = table[..., 0], table[..., 1]
    total = xp.sum(weights, axis=-1)
    base = xp.sum(events, axis=-1) / total
    if part == "uncertainty":
        return xp.sum(base * (1.0 - base))
    if part == "reliability":
        squares = ratio(xp, xp.square(events - table[..., 2]), weights)
    else:
        squares = ratio(xp, xp.square(events - weights * base[..., None]), weights)
    return xp.sum(xp.sum(squares, axis=-1) / total)
