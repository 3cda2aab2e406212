"""The Brier score."""

from typing import Any

import numpy as np

from keras_priors.metrics.classes import labels_and_probabilities
from keras_priors.utils.export import export


@export()
def brier_score(y_true: Any, y_prob: Any) -> float:
    """Mean squared distance between predicted probabilities and what came true.

        mean_i sum_c (p_ic - [y_i = c])^2        from 0 (best) to 2

    A proper score: no other probabilities have a better expected one than the true ones. It is
    the sum over all classes, so that of two classes is twice scikit-learn's `brier_score_loss`.

    Args:
        y_true: integer array (N,), the labels.
        y_prob: array (N, C), the probabilities; (N,) is the probability of class 1 of 2.

    Returns:
        The score, a float.

    Raises:
        ValueError: shapes that do not match, rows that are no probabilities, labels that are no
            columns.

    Example:
        >>> import keras_priors as kp
        >>> score = kp.metrics.brier_score([0, 1], [[0.8, 0.2], [0.5, 0.5]])
        >>> round(score, 4)
        0.29

    References:
        - Brier, 1950, Verification of forecasts expressed in terms of probability, equation 2,
          Monthly Weather Review 78(1).
    """
    labels, probabilities = labels_and_probabilities(y_true, y_prob)
    errors = probabilities.copy()
    errors[np.arange(len(labels)), labels] -= 1.0
    return float(np.square(errors).sum(axis=1).mean())
