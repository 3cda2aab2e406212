"""The continuous ranked probability score."""

from typing import Any

from keras_priors.metrics.number_rows import crps_rows
from keras_priors.metrics.rows import weighted_mean
from keras_priors.utils.export import export


@export()
def crps(y_true: Any, prediction: Any, *, sample_weight: Any = None) -> float:
    """Continuous ranked probability score, in the units of y; lower is better.

        integral over t of (F_i(t) - [y_i <= t])^2  =  E|X - y_i| - E|X - X'| / 2

    with F_i the distribution function of y_i* and X, X' two of its draws; averaged over rows and
    outputs. A proper score that forgives an outlier more than the log density does; of a point
    it is the absolute error.

    Of the likelihoods `Normal` and `HeteroscedasticNormal` it is that of the exact mixture over
    draws, of others that of 5000 samples of y* with fixed seeds.

    Args:
        y_true: array (N, ...), the targets.
        prediction: `Predictive` with a likelihood of numbers; or a
            `calibration.RecalibratedPredictive`; or samples of y*, (S, N, ...).
        sample_weight: array (N,), by how much each row counts. Defaults to None: all alike.

    Returns:
        The mean, a float.

    Raises:
        ValueError: shapes that do not match, NaN, or a `Predictive` of classes or without a
            likelihood.

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> p = kp.Predictive(np.zeros((1, 1, 1)), kp.likelihoods.Normal(1.0))
        >>> round(kp.metrics.crps(np.zeros((1, 1)), p), 4)  # (sqrt(2) - 1) / sqrt(pi)
        0.2337

    References:
        - Gneiting and Raftery, 2007, Strictly proper scoring rules, prediction, and estimation,
          equations 20 and 21, Journal of the American Statistical Association 102(477).
        - Grimit et al., 2006, The continuous ranked probability score for circular variables and
          its application to mesoscale forecast ensemble verification, equation 5, Quarterly
          Journal of the Royal Meteorological Society 132(621C).
    """
    return weighted_mean(crps_rows(y_true, prediction), sample_weight)
