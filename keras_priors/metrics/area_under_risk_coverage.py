"""The area under the risk-coverage curve."""

from typing import Any

from keras_priors.metrics.arithmetic import NUMPY
from keras_priors.metrics.ranking import mean_selective_risk
from keras_priors.metrics.row_ranking import risk_table
from keras_priors.utils.export import export


@export()
def area_under_risk_coverage(
    y_true: Any,
    prediction: Any,
    *,
    score: Any = None,
    num_thresholds: int | None = None,
    sample_weight: Any = None,
) -> float:
    """The risk of answering only where the model is surest, averaged over how often it answers.

        (1 / N) sum_i  mean loss of the rows whose score is at most that of row i

    with the loss 1 for a wrong class and 0 for the right one, and (y - E[y*])^2 of numbers. Low is
    best: it is low where losses are few, and where the score puts them last.

    Args:
        y_true: targets, as the model was trained on them.
        prediction: `Predictive` with a likelihood, a `calibration.RecalibratedPredictive`, or
            probabilities (N, C).
        score: string, a score of `keras_priors.ood_score` ("entropy" and "max_probability" of
            probabilities; "variance" and "epistemic" of numbers); or an array of one number for
            each row, high where in doubt. Defaults to None: "max_probability", which is
            1 - max_c p_c, of classes, and "variance" of numbers.
        num_thresholds: integer, cells of equal width into which a score with bounds is put, as in
            `AreaUnderRiskCoverage`; None for the exact value. Defaults to None.
        sample_weight: array (N,), by how much each row counts. Defaults to None: all alike.

    Returns:
        The area, a float.

    Raises:
        ValueError: shapes that do not match, NaN, another `score`, `num_thresholds` with a score
            that has no bounds.

    Example:
        >>> import keras_priors as kp
        >>> kp.metrics.area_under_risk_coverage([0, 0], [[0.9, 0.1], [0.4, 0.6]])
        0.25

    References:
        - Geifman, Uziel and El-Yaniv, 2019, Bias-reduced uncertainty estimation for deep neural
          classifiers, equation 2, arXiv:1805.08206.
    """
    owner = "area_under_risk_coverage"
    table = risk_table(y_true, prediction, score, num_thresholds, sample_weight, owner)
    return float(mean_selective_risk(NUMPY, table))
