"""How concentrated predictions are."""

from typing import Any

from keras_priors.metrics.number_rows import std_rows
from keras_priors.metrics.rows import weighted_mean
from keras_priors.utils.export import export


@export()
def sharpness(prediction: Any, *, sample_weight: Any = None) -> float:
    """The mean standard deviation of y*, in the units of y.

        mean_i sqrt(Var[y_i*])

    It knows no target: of two predictions that are both calibrated the sharper is better.

    Args:
        prediction: `Predictive` with a likelihood of numbers, or a
            `calibration.RecalibratedPredictive`.
        sample_weight: array (N,), by how much each row counts. Defaults to None: all alike.

    Returns:
        The mean, a float.

    Raises:
        TypeError: `prediction` is no `Predictive`.
        ValueError: it is one of classes, or without a likelihood.

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> p = kp.Predictive(np.zeros((1, 4, 1)), kp.likelihoods.Normal(2.0))
        >>> kp.metrics.sharpness(p)
        2.0

    References:
        - Gneiting, Balabdaoui and Raftery, 2007, Probabilistic forecasts, calibration and
          sharpness, section 3.4, Journal of the Royal Statistical Society B 69(2).
    """
    return weighted_mean(std_rows(prediction), sample_weight)
