"""How often an interval holds what came true."""

from typing import Any

from keras_priors.metrics.number_rows import coverage_rows
from keras_priors.metrics.parameters import fraction
from keras_priors.metrics.rows import weighted_mean
from keras_priors.utils.export import export


@export()
def interval_coverage(
    y_true: Any, prediction: Any, coverage: float = 0.9, *, sample_weight: Any = None
) -> float:
    """The share of targets within their interval; best is `coverage` itself.

        mean_i [low_i <= y_i <= high_i]

    Args:
        y_true: array (N, ...), the targets.
        prediction: `Predictive` with a likelihood of numbers, whose central interval is taken,
            exact for mixtures of normals; a `calibration.RecalibratedPredictive`; or a pair
            (lower, upper) of arrays (N, ...).
        coverage: float between 0 and 1, of the interval. Defaults to 0.9.
        sample_weight: array (N,), by how much each row counts. Defaults to None: all alike.

    Returns:
        The share, a float from 0 to 1.

    Raises:
        ValueError: shapes that do not match, NaN, ends that are crossed, a `coverage` outside of
            (0, 1), or a `Predictive` of classes or without a likelihood.

    Example:
        >>> import keras_priors as kp
        >>> kp.metrics.interval_coverage([0.5, 3.0], ([0.0, 0.0], [1.0, 2.0]))
        0.5
    """
    coverage = fraction("interval_coverage", "coverage", coverage)
    return weighted_mean(coverage_rows(y_true, prediction, coverage), sample_weight)
