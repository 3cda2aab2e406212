"""The Brier score."""

from typing import Any

from keras_priors.metrics.arithmetic import NUMPY
from keras_priors.metrics.bins import brier_part, class_tables, exact_class_tables
from keras_priors.metrics.classes import class_rows
from keras_priors.metrics.parameters import bins_or_none, part_or_total
from keras_priors.metrics.rows import weighted_mean
from keras_priors.metrics.scores import squared_distances
from keras_priors.utils.export import export


@export()
def brier_score(
    y_true: Any,
    prediction: Any,
    *,
    part: str = "total",
    n_bins: int | None = 15,
    sample_weight: Any = None,
) -> float:
    """Mean squared distance between predicted probabilities and what came true.

        mean_i sum_c (p_ic - [y_i = c])^2        from 0 (best) to 2

    A proper score: no other probabilities have a better expected one than the true ones. It is
    the sum over all classes, so that of two classes is twice scikit-learn's `brier_score_loss`.

    It has three parts, each summed over the classes, with n_k rows in bin k of p_c, of which the
    share o_k is of class c:

        total       = reliability - resolution + uncertainty
        reliability = sum_k (n_k / N) (mean_k p_c - o_k)^2     0 where probabilities are right
        resolution  = sum_k (n_k / N) (o_k - o)^2              high where rows are told apart
        uncertainty = o (1 - o)                                that of the labels, not of the model

    exactly so where all probabilities of a bin are equal, as they are with `n_bins=None`.

    Args:
        y_true: integer array (N,), the labels; beside a `Predictive` one-hot rows too.
        prediction: `Predictive` with a likelihood of classes; array (N, C), the probabilities;
            (N,) is the probability of class 1 of 2.
        part: "total", "reliability", "resolution" or "uncertainty". Defaults to "total".
        n_bins: integer, bins of equal width of a probability, for the parts; None for one bin for
            each distinct value. Defaults to 15.
        sample_weight: array (N,), by how much each row counts. Defaults to None: all alike.

    Returns:
        The score or its part, a float.

    Raises:
        ValueError: shapes that do not match, rows that are no probabilities, labels that are no
            columns, another `part`.

    Example:
        >>> import keras_priors as kp
        >>> score = kp.metrics.brier_score([0, 1], [[0.8, 0.2], [0.5, 0.5]])
        >>> round(score, 4)
        0.29

    References:
        - Brier, 1950, Verification of forecasts expressed in terms of probability, equation 2,
          Monthly Weather Review 78(1).
        - Murphy, 1973, A new vector partition of the probability score, equation 6, Journal of
          Applied Meteorology 12(4).
    """
    part, n_bins = part_or_total(part), bins_or_none("brier_score", "n_bins", n_bins)
    labels, probabilities, weights = class_rows(y_true, prediction, sample_weight)
    if part == "total":
        return weighted_mean(squared_distances(NUMPY, labels, probabilities), weights)
    if n_bins is None:
        tables = exact_class_tables(labels, probabilities, weights)
        return float(sum(brier_part(NUMPY, table, part) for table in tables))
    tables = class_tables(NUMPY, labels, probabilities, weights, n_bins)
    return float(brier_part(NUMPY, tables, part))
