"""How wide intervals are."""

from typing import Any

from keras_priors.metrics.number_rows import width_rows
from keras_priors.metrics.parameters import fraction
from keras_priors.metrics.rows import weighted_mean
from keras_priors.utils.export import export


@export()
def interval_width(prediction: Any, coverage: float = 0.9, *, sample_weight: Any = None) -> float:
    """The mean width of intervals, in the units of y: how much a prediction leaves open.

        mean_i (high_i - low_i)

    Read it beside `interval_coverage`: of two methods that cover alike the narrower is better.

    Args:
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
        >>> kp.metrics.interval_width(([0.0, 0.0], [1.0, 2.0]))
        1.5
    """
    coverage = fraction("interval_width", "coverage", coverage)
    return weighted_mean(width_rows(prediction, coverage), sample_weight)
