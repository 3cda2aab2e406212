"""The maximum calibration error."""

from typing import Any

from keras_priors.metrics.arithmetic import NUMPY
from keras_priors.metrics.bins import maximum_gap, top_label_table
from keras_priors.metrics.classes import class_rows
from keras_priors.utils.export import export
from keras_priors.utils.parameters import whole_number


@export()
def maximum_calibration_error(
    y_true: Any, prediction: Any, *, n_bins: int = 15, sample_weight: Any = None
) -> float:
    """How far the confidence in the predicted class is from its accuracy, in the worst bin.

        max_b |accuracy_b - confidence_b|        from 0 (best) to 1

    over the bins of `expected_calibration_error` that hold a row. One row in a bin of its own
    can make it large.

    Args:
        y_true: the labels; this and the others are as in `expected_calibration_error`.
        prediction: `Predictive`, or the probabilities.
        n_bins: integer, number of bins. Defaults to 15.
        sample_weight: by how much each row counts. Defaults to None: all alike.

    Returns:
        The error, a float.

    Raises:
        ValueError: as `expected_calibration_error`.

    Example:
        >>> import keras_priors as kp
        >>> error = kp.metrics.maximum_calibration_error([0, 1], [[0.8, 0.2], [0.9, 0.1]])
        >>> round(error, 4)  # 0.8 was right, 0.9 was wrong
        0.9

    References:
        - Guo et al., 2017, On calibration of modern neural networks, equation 5,
          arXiv:1706.04599.
    """
    n_bins = whole_number("maximum_calibration_error", "n_bins", n_bins)
    rows = class_rows(y_true, prediction, sample_weight)
    return float(maximum_gap(NUMPY, top_label_table(NUMPY, *rows, n_bins)))
