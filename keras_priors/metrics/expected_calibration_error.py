"""The expected calibration error."""

from typing import Any

from keras_priors.metrics.arithmetic import NUMPY
from keras_priors.metrics.bins import expected_gap, top_label_table
from keras_priors.metrics.classes import class_rows
from keras_priors.utils.export import export
from keras_priors.utils.parameters import whole_number


@export()
def expected_calibration_error(
    y_true: Any, prediction: Any, *, n_bins: int = 15, sample_weight: Any = None
) -> float:
    """How far the confidence in the predicted class is from its accuracy, on average.

        sum_b (n_b / N) |accuracy_b - confidence_b|        from 0 (best) to 1

    over `n_bins` bins of equal width of the largest probability in a row; bin b is
    ((b - 1) / n_bins, b / n_bins]. It is no proper score, and its value depends on the bins:
    read it beside the Brier score or the log density.

    Args:
        y_true: integer array (N,), the labels; beside a `Predictive` one-hot rows too.
        prediction: `Predictive` with a likelihood of classes; array (N, C), the probabilities;
            (N,) is the probability of class 1 of 2.
        n_bins: integer, number of bins. Defaults to 15.
        sample_weight: array (N,), by how much each row counts. Defaults to None: all alike.

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
    rows = class_rows(y_true, prediction, sample_weight)
    return float(expected_gap(NUMPY, top_label_table(NUMPY, *rows, n_bins)))
