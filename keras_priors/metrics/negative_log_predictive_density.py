"""The negative log predictive density."""

from typing import Any

import numpy as np

from keras_priors.metrics.classes import labels_and_probabilities
from keras_priors.metrics.rows import real_array, weighted_mean
from keras_priors.predictive.predictive import Predictive
from keras_priors.predictive.quantile_predictive import QuantilePredictive
from keras_priors.utils.export import export


@export()
def negative_log_predictive_density(
    y_true: Any, prediction: Any, *, sample_weight: Any = None
) -> float:
    """How surprising what came true was: mean_i -log mean_s p(y_i | f_is), in nats.

    A proper score, and the one that the likelihood itself is: lower is better. Of classes it is
    the log loss, of probabilities 0 that came true infinite.

    Args:
        y_true: targets, N rows, as the model was trained on them.
        prediction: `Predictive`; a `calibration.RecalibratedPredictive` of one number in a row; or
            probabilities (N, C), or (N,) of class 1 of 2.
        sample_weight: array (N,), by how much each row counts, or one number for each step of
            it. Defaults to None: all alike.

    Returns:
        The mean, a float.

    Raises:
        ValueError: shapes that do not match, NaN, rows that are no probabilities, labels that
            are no columns, or a `Predictive` without a likelihood.

    Example:
        >>> import keras_priors as kp
        >>> nll = kp.metrics.negative_log_predictive_density([0, 1], [[0.5, 0.5], [0.5, 0.5]])
        >>> round(nll, 4)  # log 2
        0.6931

    References:
        - Gneiting and Raftery, 2007, Strictly proper scoring rules, prediction, and estimation,
          section 4.1, Journal of the American Statistical Association 102(477).
    """
    if isinstance(prediction, (Predictive, QuantilePredictive)):
        values = -prediction.log_prob(real_array(y_true, "y_true").astype("float64"))
    else:
        labels, probabilities = labels_and_probabilities(y_true, prediction)
        with np.errstate(divide="ignore"):
            values = -np.log(probabilities[np.arange(len(labels)), labels])
    return weighted_mean(values, sample_weight)
