"""The interval score."""

from typing import Any

from keras_priors.metrics.number_rows import interval_score_rows
from keras_priors.metrics.parameters import fraction
from keras_priors.metrics.rows import weighted_mean
from keras_priors.utils.export import export


@export()
def interval_score(
    y_true: Any, prediction: Any, coverage: float = 0.9, *, sample_weight: Any = None
) -> float:
    """Width of an interval and a fine for what it misses, in the units of y; lower is better.

        (high - low) + 2 / alpha ((low - y)+ + (y - high)+),    alpha = 1 - coverage

    averaged over rows and outputs. A proper score of the two quantiles.

    Args:
        y_true: array (N, ...), the targets.
        prediction: `Predictive` with a likelihood of numbers, whose central interval is taken,
            exact for mixtures of normals; a `calibration.RecalibratedPredictive`; or a pair
            (lower, upper) of arrays (N, ...).
        coverage: float between 0 and 1, of the interval. Defaults to 0.9.
        sample_weight: array (N,), by how much each row counts. Defaults to None: all alike.

    Returns:
        The mean, a float.

    Raises:
        ValueError: shapes that do not match, NaN, ends that are crossed, a `coverage` outside of
            (0, 1), or a `Predictive` of classes or without a likelihood.

    Example:
        >>> import keras_priors as kp
        >>> kp.metrics.interval_score([0.5, 3.0], ([0.0, 0.0], [1.0, 2.0]), coverage=0.5)
        3.5

    References:
        - Gneiting and Raftery, 2007, Strictly proper scoring rules, prediction, and estimation,
          equation 43, Journal of the American Statistical Association 102(477).
    """
    coverage = fraction("interval_score", "coverage", coverage)
    return weighted_mean(interval_score_rows(y_true, prediction, coverage), sample_weight)
