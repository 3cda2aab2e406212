"""The adaptive calibration error."""

from typing import Any

from keras_priors.metrics.arithmetic import NUMPY
from keras_priors.metrics.bins import columns, top_label
from keras_priors.metrics.classes import class_rows
from keras_priors.metrics.parameters import bins_or_none
from keras_priors.metrics.ranking import equal_cells, equal_mass_gap, exact_cells
from keras_priors.utils.export import export
from keras_priors.utils.parameters import whole_number


@export()
def adaptive_calibration_error(
    y_true: Any,
    prediction: Any,
    *,
    n_bins: int = 15,
    num_thresholds: int | None = None,
    sample_weight: Any = None,
) -> float:
    """How far confidence is from accuracy, on average over bins that hold equally many rows.

        sum_b (n_b / N) |accuracy_b - confidence_b|        from 0 (best) to 1

    of the predicted class, as `expected_calibration_error`, whose bins of equal width leave most
    of them empty where a model is confident. Rows of equal confidence share a bin, that in which
    the middle one of them lies.

    Args:
        y_true: the labels; this and the next are as in `expected_calibration_error`.
        prediction: `Predictive`, or the probabilities.
        n_bins: integer, number of bins. Defaults to 15.
        num_thresholds: integer, to how many equal steps from 0 to 1 the confidence is known when
            bins are made, as in `AdaptiveCalibrationError`; None for exactly. Defaults to None.
        sample_weight: by how much each row counts. Defaults to None: all alike.

    Returns:
        The error, a float.

    Raises:
        ValueError: as `expected_calibration_error`.

    Example:
        >>> import keras_priors as kp
        >>> p = [[0.95, 0.05], [0.96, 0.04], [0.97, 0.03], [0.98, 0.02]]
        >>> error = kp.metrics.adaptive_calibration_error([0, 1, 0, 0], p, n_bins=2)
        >>> round(error, 4)  # |1/2 - 0.955| and |1 - 0.975|
        0.24

    References:
        - Nguyen and O'Connor, 2015, Posterior calibration and exploratory analysis for natural
          language processing models, section 3, arXiv:1508.05154.
        - Nixon et al., 2019, Measuring calibration in deep learning, section 3.3,
          arXiv:1904.01685, where the bins are of all classes.
    """
    n_bins = whole_number("adaptive_calibration_error", "n_bins", n_bins)
    steps = bins_or_none("adaptive_calibration_error", "num_thresholds", num_thresholds)
    labels, probabilities, weights = class_rows(y_true, prediction, sample_weight)
    confidence, right = top_label(NUMPY, labels, probabilities)
    sums = columns(NUMPY, confidence, right, weights)
    table = (
        exact_cells(confidence, sums)
        if steps is None
        else equal_cells(NUMPY, confidence, sums, 1.0, steps)
    )
    return float(equal_mass_gap(NUMPY, table, n_bins))
