"""The expected calibration error."""

from typing import Any

import numpy as np

from keras_priors.metrics.classes import labels_and_probabilities
from keras_priors.utils.export import export
from keras_priors.utils.parameters import whole_number


@export()
def expected_calibration_error(y_true: Any, y_prob: Any, *, n_bins: int = 15) -> float:
    """How far the confidence in the predicted class is from its accuracy, on average.

        sum_b (n_b / N) |accuracy_b - confidence_b|        from 0 (best) to 1

    over `n_bins` bins of equal width of the largest probability in a row; bin b is
    ((b - 1) / n_bins, b / n_bins]. It is no proper score, and its value depends on the bins:
    read it beside the Brier score or the log density.

    Args:
        y_true: integer array (N,), the labels.
        y_prob: array (N, C), the probabilities; (N,) is the probability of class 1 of 2.
        n_bins: integer, number of bins. Defaults to 15.

    Returns:
        The error, a float.

    Raises:
        ValueError: shapes that do not match, rows that are no probabilities, labels that are no
            columns, `n_bins` below 1.

    Example:
        >>> import keras_priors as kp
        >>> error = kp.metrics.expected_calibration_error([0, 1], [[0.8, 0.2], [0.9, 0.1]])
        >>> round(error, 4)  # 0.8 was right, 0.9 was wrong
        0.55

    References:
        - Guo et al., 2017, On calibration of modern neural networks, equation 3,
          arXiv:1706.04599.
    """
    n_bins = whole_number("expected_calibration_error", "n_bins", n_bins)
    labels, probabilities = labels_and_probabilities(y_true, y_prob)
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    # Edges are compared, not computed with: 0.6 * 15 is a little more than 9.
    edges = np.linspace(0.0, 1.0, n_bins + 1)[1:-1]
    bins = np.searchsorted(edges, confidence, side="left")
    gaps = np.bincount(bins, weights=right - confidence, minlength=n_bins)
    return float(np.abs(gaps).sum() / len(labels))
