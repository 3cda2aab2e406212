"""The class-wise calibration error."""

from typing import Any

from keras_priors.metrics.arithmetic import NUMPY
from keras_priors.metrics.bins import class_tables, mean_class_gap
from keras_priors.metrics.classes import class_rows
from keras_priors.utils.export import export
from keras_priors.utils.parameters import whole_number


@export()
def classwise_calibration_error(
    y_true: Any, prediction: Any, *, n_bins: int = 15, sample_weight: Any = None
) -> float:
    """How far the probability of a class is from its frequency, on average over classes.

        (1 / C) sum_c sum_b (n_bc / N) |frequency_bc - mean probability_bc|     from 0 (best) to 1

    over `n_bins` bins of equal width of the probability of class c: those of classes that were
    not predicted count too. Also called static calibration error.

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
        >>> error = kp.metrics.classwise_calibration_error([0, 1], [[0.8, 0.2], [0.9, 0.1]])
        >>> round(error, 4)
        0.55

    References:
        - Nixon et al., 2019, Measuring calibration in deep learning, equation 2,
          arXiv:1904.01685.
        - Kull et al., 2019, Beyond temperature scaling, section 2, arXiv:1910.12656.
    """
    n_bins = whole_number("classwise_calibration_error", "n_bins", n_bins)
    rows = class_rows(y_true, prediction, sample_weight)
    return float(mean_class_gap(NUMPY, class_tables(NUMPY, *rows, n_bins)))
