"""How far quantiles are from what they say."""

from typing import Any

import numpy as np

from keras_priors.metrics.arithmetic import NUMPY
from keras_priors.metrics.number_rows import pit_rows
from keras_priors.metrics.pit_bins import distance_from_uniform, levels, pit_bins
from keras_priors.metrics.rows import row_weights
from keras_priors.utils.export import export


@export()
def quantile_calibration_error(
    y_true: Any, prediction: Any, *, n_bins: int = 20, sample_weight: Any = None
) -> float:
    """How far the share of targets below each quantile is from its level, on average.

        mean_b |share of PIT values <= b / n_bins  -  b / n_bins|,   b = 1 ... n_bins - 1

    from 0 (best) to nearly 1/2: the distance of `pit_values` from uniform.

    Args:
        y_true: array (N, ...), the targets.
        prediction: `Predictive` with a likelihood of numbers, or a
            `calibration.RecalibratedPredictive`.
        n_bins: integer, at least 2. Defaults to 20: the quantiles of 5%, 10%, ..., 95%.
        sample_weight: array (N,), by how much each row counts. Defaults to None: all alike.

    Returns:
        The error, a float.

    Raises:
        TypeError: `predictive` is no `Predictive`.
        ValueError: as `pit_values`, or `n_bins` below 2.

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> p = kp.Predictive(np.zeros((1, 2, 1)), kp.likelihoods.Normal(1.0))
        >>> kp.metrics.quantile_calibration_error([[-1.0], [1.0]], p, n_bins=4)
        0.1666...

    References:
        - Kuleshov, Fenner and Ermon, 2018, Accurate uncertainties for deep learning using
          calibrated regression, section 3.5, arXiv:1807.00263, where distances are squared.
    """
    n_bins = levels("quantile_calibration_error", n_bins)
    values = pit_rows(y_true, prediction, 0)
    weights = row_weights(sample_weight, values.shape)
    table = pit_bins(NUMPY, np.ravel(values), np.ravel(weights), n_bins)
    return float(distance_from_uniform(NUMPY, table))
