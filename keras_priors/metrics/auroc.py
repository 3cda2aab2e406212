"""The area under the receiver operating characteristic."""

from typing import Any

import numpy as np

from keras_priors.metrics.arithmetic import NUMPY
from keras_priors.metrics.ranking import area_under_roc
from keras_priors.metrics.row_ranking import class_table
from keras_priors.utils.export import export


@export()
def auroc(
    y_true: Any,
    prediction: Any,
    *,
    score: Any = "max_probability",
    of: str = "errors",
    num_thresholds: int | None = None,
    sample_weight: Any = None,
) -> float:
    """How well a score tells positive rows from others: 1 is best, 1/2 is chance.

        P(score of a positive row > score of a negative row) + P(they are equal) / 2

    With `of="errors"` the positives are the rows whose predicted class is wrong: whether doubt
    points at mistakes. With `of="y"` they are those that `y_true` marks, such as rows from
    elsewhere among others: whether doubt points at what the model does not know.

    Args:
        y_true: labels (N,), as the model was trained on them; with `of="y"` 1 or 0, (N,).
        prediction: `Predictive` with a likelihood of classes, or probabilities (N, C); with
            `of="y"` any `Predictive`, or the scores (N,) themselves.
        score: string, a score of `keras_priors.ood_score` ("entropy" and "max_probability" of
            probabilities); or an array (N,). High is to be positive. Defaults to
            "max_probability", 1 - max_c p_c.
        of: "errors" or "y". Defaults to "errors".
        num_thresholds: integer, cells of equal width into which a score with bounds is put, as in
            the metric of this name; None for the exact value. Defaults to None.
        sample_weight: array (N,), by how much each row counts. Defaults to None: all alike.

    Returns:
        A float from 0 to 1; NaN where no row is positive, or none negative, so that there is
        nothing to rank.

    Raises:
        ValueError: shapes that do not match, NaN, another `score` or `of`, `num_thresholds` with
            a score that has no bounds.

    Example:
        >>> import keras_priors as kp
        >>> kp.metrics.auroc([1, 0, 1, 0], [0.9, 0.1, 0.4, 0.4], of="y")
        0.875

    References:
        - Hanley and McNeil, 1982, The meaning and use of the area under a receiver operating
          characteristic (ROC) curve, Radiology 143(1).
    """
    table = class_table(y_true, prediction, score, of, num_thresholds, sample_weight, "auroc")
    with np.errstate(invalid="ignore"):
        return float(area_under_roc(NUMPY, table))
