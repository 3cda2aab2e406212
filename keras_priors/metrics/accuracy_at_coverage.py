"""Accuracy where the model is surest."""

from typing import Any

from keras_priors.metrics.arithmetic import NUMPY
from keras_priors.metrics.parameters import fraction
from keras_priors.metrics.ranking import risk_at_coverage
from keras_priors.metrics.row_ranking import class_table
from keras_priors.utils.export import export


@export()
def accuracy_at_coverage(
    y_true: Any,
    prediction: Any,
    coverage: float = 0.9,
    *,
    score: Any = "max_probability",
    num_thresholds: int | None = None,
    sample_weight: Any = None,
) -> float:
    """The share of right classes among the share `coverage` of rows with the lowest scores.

    Of rows of equal score on the edge as many count as are needed, with their mean accuracy.

    Args:
        y_true: labels (N,), as the model was trained on them.
        prediction: `Predictive` with a likelihood of classes, or probabilities (N, C).
        coverage: float in (0, 1], the share of rows that are answered. Defaults to 0.9.
        score: string, a score of `keras_priors.ood_score` ("entropy" and "max_probability" of
            probabilities); or an array of one number for each row, high where in doubt. Defaults
            to "max_probability", 1 - max_c p_c.
        num_thresholds: integer, cells of equal width into which a score with bounds is put, as in
            `AccuracyAtCoverage`; None for the exact value. Defaults to None.
        sample_weight: array (N,), by how much each row counts. Defaults to None: all alike.

    Returns:
        The accuracy, a float from 0 to 1.

    Raises:
        ValueError: shapes that do not match, NaN, another `score`, a `coverage` outside of (0, 1],
            `num_thresholds` with a score that has no bounds.

    Example:
        >>> import keras_priors as kp
        >>> kp.metrics.accuracy_at_coverage([0, 0], [[0.9, 0.1], [0.4, 0.6]], coverage=0.5)
        1.0

    References:
        - El-Yaniv and Wiener, 2010, On the foundations of noise-free selective classification,
          section 2, Journal of Machine Learning Research 11.
    """
    owner = "accuracy_at_coverage"
    coverage = fraction(owner, "coverage", coverage, include_high=True)
    table = class_table(y_true, prediction, score, "errors", num_thresholds, sample_weight, owner)
    return float(1.0 - risk_at_coverage(NUMPY, table, coverage))
