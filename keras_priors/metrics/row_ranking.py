"""Rows with a score of doubt and what came true, as a table of cells."""

from typing import Any

import numpy as np

from keras_priors.likelihoods.bernoulli import Bernoulli
from keras_priors.likelihoods.categorical import Categorical
from keras_priors.metrics.arithmetic import NUMPY
from keras_priors.metrics.classes import class_rows, class_shape
from keras_priors.metrics.mixtures import check_numbers, target_shape
from keras_priors.metrics.parameters import bins_or_none, one_of
from keras_priors.metrics.ranking import equal_cells, exact_cells
from keras_priors.metrics.rows import like_rows, real_array, row_weights
from keras_priors.predictive.ood_score import ood_score
from keras_priors.predictive.predictive import Predictive
from keras_priors.predictive.quantile_predictive import QuantilePredictive
from keras_priors.utils.export import share

OF = ("errors", "y")


def class_table(
    y: Any,
    prediction: Any,
    score: Any,
    of: str,
    num_thresholds: Any,
    sample_weight: Any,
    owner: str,
) -> Any:
    """Cells (weight, weight x positive) of rows whose class is wrong, or that `y` marks."""
    of = one_of("of", of, OF)
    steps = bins_or_none(owner, "num_thresholds", num_thresholds)
    if of == "y":
        values, high = _score_of_rows(prediction, score)
        positive = real_array(y, "y_true").astype("float64")
        positive = like_rows(positive, values.shape, "y_true")
        if not np.all((positive == 0.0) | (positive == 1.0)):
            raise ValueError(
                '`y_true` must be 1 or 0, positive or not, with of="y". Received: values from '
                f"{positive.min():.4g} to {positive.max():.4g}."
            )
        weights = row_weights(sample_weight, values.shape)
        return _table(values, weights, positive, high, steps, owner)
    labels, probabilities, weights = class_rows(y, prediction, sample_weight)
    values, high = score_of_classes(prediction, probabilities, score)
    wrong = probabilities.argmax(axis=-1) != labels
    return _table(values, weights, wrong, high, steps, owner)


def risk_table(
    y: Any, prediction: Any, score: Any, num_thresholds: Any, sample_weight: Any, owner: str
) -> Any:
    """Cells (weight, weight x loss): of classes an error, of numbers the squared error."""
    steps = bins_or_none(owner, "num_thresholds", num_thresholds)
    of_numbers = isinstance(prediction, QuantilePredictive)
    if not of_numbers and (not isinstance(prediction, Predictive) or _is_classes(prediction)):
        score = "max_probability" if score is None else score
        return class_table(y, prediction, score, "errors", steps, sample_weight, owner)
    check_numbers(prediction, owner)
    y = like_rows(y, target_shape(prediction), "y_true")
    loss = np.square(y - prediction.mean)
    weights = row_weights(sample_weight, loss.shape)
    if score is None or isinstance(score, str):
        words = ("variance",) if of_numbers else ("variance", "epistemic")
        word = one_of("score", score or "variance", words)
        score = np.square(prediction.std) if word == "variance" else prediction.epistemic
    return _table(like_rows(score, loss.shape, "score"), weights, loss, None, steps, owner)


def _table(score: Any, weights: Any, loss: Any, high: Any, steps: int | None, owner: str) -> Any:
    score, weights = np.ravel(score), np.ravel(weights)
    columns = np.stack([weights, weights * np.ravel(loss)], axis=1)
    if steps is None:
        return exact_cells(score, columns)
    if high is None or score.min() < 0.0 or score.max() > high * (1.0 + 1e-6):
        raise ValueError(
            f'`num_thresholds` of {owner} needs a score with known bounds: "entropy", '
            '"mutual_information" and "max_probability" of classes, or scores from 0 to 1. '
            f"Received: scores from {score.min():.4g} to {score.max():.4g}. Leave it out."
        )
    return equal_cells(NUMPY, score, columns, high, steps)


def bound(score: Any, classes: int) -> float | None:
    """The largest value of a score of so many classes, or None."""
    if score == "max_probability":
        return 1.0 - 1.0 / classes
    return float(np.log(classes)) if score in ("entropy", "mutual_information") else None


def _score_of_rows(prediction: Any, score: Any) -> tuple[Any, float | None]:
    if not isinstance(prediction, Predictive):
        if score != "max_probability":
            raise ValueError(
                '`score` is of a Predictive with of="y". Received: score='
                f"{score!r} beside an array, whose numbers are the scores. Leave it out."
            )
        return real_array(prediction, "prediction"), 1.0
    values = ood_score(prediction, score) if isinstance(score, str) else score
    classes = _classes(prediction) if _is_classes(prediction) else None
    high = bound(score, classes) if classes and isinstance(score, str) else None
    return real_array(values, "score"), high


@share
def score_of_classes(prediction: Any, probabilities: Any, score: Any) -> tuple[Any, float | None]:
    """Scores of rows (M,) by name or from an array, and the largest that there can be, or None."""
    if not isinstance(score, str):
        values = real_array(score, "score")
        if values.size != len(probabilities):
            raise ValueError(
                f"`score` must hold one number for each of the {len(probabilities)} rows. "
                f"Received: shape {values.shape}."
            )
        return values.reshape(-1), 1.0
    high = bound(score, probabilities.shape[-1])
    own = of_probabilities(NUMPY, probabilities, score)
    if own is not None:
        return own, high
    if not isinstance(prediction, Predictive):
        raise ValueError(
            '`score` of probabilities must be "entropy", "max_probability" or an array. '
            f"Received: score={score!r}. Give a Predictive."
        )
    values = ood_score(prediction, score)
    return like_rows(values, class_shape(prediction), "score").reshape(-1), high


def _is_classes(predictive: Predictive) -> bool:
    return isinstance(predictive.likelihood, (Bernoulli, Categorical))


def _classes(predictive: Predictive) -> int:
    p, shape = predictive.probabilities, class_shape(predictive)
    return 2 if p.shape == shape else int(p.shape[-1])


def of_probabilities(xp: Any, probabilities: Any, score: str) -> Any:
    """1 - max_c p_c, or the entropy in nats, of rows (M, C); None for another score."""
    if score == "max_probability":
        return 1.0 - xp.max(probabilities, axis=-1)
    if score == "entropy":
        safe = xp.where(probabilities > 0.0, probabilities, xp.ones_like(probabilities))
        return -xp.sum(probabilities * xp.log(safe), axis=-1)
    return None
