"""The pinball loss of a quantile."""

from typing import Any

from keras_priors.metrics.number_rows import pinball_rows
from keras_priors.metrics.parameters import fraction
from keras_priors.metrics.rows import weighted_mean
from keras_priors.utils.export import export


@export()
def pinball_loss(y_true: Any, prediction: Any, q: float, *, sample_weight: Any = None) -> float:
    """How good a quantile is, in the units of y; lower is better.

        max(q (y - x), (q - 1) (y - x))        with x the quantile at the level q

    averaged over rows and outputs. A proper score of that quantile; at q = 0.5 half the absolute
    error of the median.

    Args:
        y_true: array (N, ...), the targets.
        prediction: `Predictive` with a likelihood of numbers, whose quantile is taken, exact for
            mixtures of normals; a `calibration.RecalibratedPredictive`; or an array (N, ...) of
            quantiles.
        q: float between 0 and 1, the level.
        sample_weight: array (N,), by how much each row counts. Defaults to None: all alike.

    Returns:
        The mean, a float.

    Raises:
        ValueError: shapes that do not match, NaN, a `q` outside of (0, 1), or a `Predictive` of
            classes or without a likelihood.

    Example:
        >>> import keras_priors as kp
        >>> kp.metrics.pinball_loss([1.0, 3.0], [2.0, 2.0], q=0.75)
        0.5

    References:
        - Koenker and Bassett, 1978, Regression quantiles, equation 3.1, Econometrica 46(1).
    """
    q = fraction("pinball_loss", "q", q)
    return weighted_mean(pinball_rows(y_true, prediction, q), sample_weight)
