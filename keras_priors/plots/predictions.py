"""Predictives and targets, checked, in the form in which pictures take them."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from keras_priors.functional.as_array import as_array
from keras_priors.likelihoods.bernoulli import Bernoulli
from keras_priors.likelihoods.categorical import Categorical
from keras_priors.likelihoods.ordinal import Ordinal
from keras_priors.metrics.classes import class_rows
from keras_priors.metrics.row_ranking import score_of_classes
from keras_priors.metrics.rows import like_rows
from keras_priors.predictive.ood_score import ood_score
from keras_priors.predictive.predictive import Predictive
from keras_priors.predictive.quantile_predictive import QuantilePredictive


def one_predictive(owner: str, predictive: Any) -> Predictive:
    """A `Predictive` of one output, or a refusal."""
    if isinstance(predictive, Predictive):
        return predictive
    got = type(predictive).__name__
    if isinstance(predictive, (dict, list, tuple)):
        got = f"{got}, as of a model with several outputs. Give that of one output"
    raise TypeError(
        f"`{owner}` takes a keras_priors.Predictive, as keras_priors.predict(model, x) or "
        f"posterior.predict(x) returns it. Received: {got}."
    )


def one_of_numbers(owner: str, predictive: Any) -> Any:
    """The same, or what has quantiles and no draws, as a recalibrated one."""
    if isinstance(predictive, QuantilePredictive):
        return predictive
    return one_predictive(owner, predictive)


def is_classes(predictive: Any) -> bool:
    """Whether y* is a class."""
    one = isinstance(predictive, Predictive)
    return one and isinstance(predictive.likelihood, (Bernoulli, Categorical))


def has_classes(predictive: Any) -> bool:
    """Whether y* has probabilities of classes; those of `Ordinal` are numbers too."""
    one = isinstance(predictive, Predictive) and isinstance(predictive.likelihood, Ordinal)
    return one or is_classes(predictive)


def is_array(predictive: Any) -> bool:
    """Whether these are probabilities themselves: an array, a tensor, or a list of rows."""
    rows = isinstance(predictive, (list, tuple))
    one = predictive[0] if rows and predictive else predictive
    numbers = isinstance(one, (float, int, list, np.ndarray))
    return (
        isinstance(predictive, np.ndarray) or keras.ops.is_tensor(predictive) or (rows and numbers)
    )


def class_probabilities(owner: str, predictive: Any) -> Any:
    """float64 (M, C), C at least 2, of a predictive; steps and several outputs become rows."""
    one = one_predictive(owner, predictive)
    _check_classes(owner, one)
    p = one.probabilities
    if isinstance(one.likelihood, Bernoulli):
        p = p.reshape(-1)
        return np.stack([1.0 - p, p], axis=1)
    return p.reshape(-1, p.shape[-1])


def judged_classes(owner: str, y: Any, predictive: Any) -> tuple[Any, Any]:
    """Labels (M,) and probabilities (M, C) of a predictive or an array of probabilities."""
    if not is_array(predictive):
        _check_classes(owner, one_predictive(owner, predictive))
    labels, probabilities, _ = class_rows(as_array(y, "y"), predictive)
    return labels, probabilities


def _check_classes(owner: str, predictive: Predictive) -> None:
    if not has_classes(predictive):
        raise ValueError(
            f"`{owner}` is for classes: the likelihoods Categorical, Bernoulli and Ordinal. "
            f"Received: {predictive.likelihood!r}. Of a regression see `pit_histogram`."
        )


def numbers(owner: str, y: Any, predictive: Any) -> Any:
    """Targets of a regression in the shape of `predictive.mean`, float64."""
    return like_rows(as_array(y, "y"), predictive.mean.shape, f"y` of `{owner}")


def row_scores(owner: str, predictive: Any, score: Any, rows: int) -> Any:
    """float64 (N,), high where in doubt: those of `ood_score` by name, or an array of them."""
    if isinstance(score, str) and (is_array(predictive) or has_classes(predictive)):
        probabilities = class_rows(np.zeros(rows, "int64"), predictive)[1]
        score, _ = score_of_classes(predictive, probabilities, score)
    elif isinstance(score, str):
        score = ood_score(one_predictive(owner, predictive), score)
    values = as_array(score, "score").astype("float64").reshape(-1)
    if len(values) != rows:
        raise ValueError(
            f"`score` of `{owner}` must hold one number for each of the {rows} rows. "
            f"Received: {len(values)}."
        )
    return values


def one_output(owner: str, values: Any, output: int) -> Any:
    """(N,) of values (N, ...): the output with this number."""
    flat = values.reshape(len(values), -1)
    if isinstance(output, bool) or not -flat.shape[1] <= output < flat.shape[1]:
        raise ValueError(
            f"`output` of `{owner}` must be the number of one of the {flat.shape[1]} outputs. "
            f"Received: output={output!r}."
        )
    return flat[:, output]
