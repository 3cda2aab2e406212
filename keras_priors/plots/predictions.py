"""Predictives and targets, checked, in the form in which pictures take them."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_priors.functional.as_array import as_array
from keras_priors.likelihoods.bernoulli import Bernoulli
from keras_priors.likelihoods.categorical import Categorical
from keras_priors.metrics.classes import class_rows
from keras_priors.predictive.predictive import Predictive


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


def is_classes(predictive: Predictive) -> bool:
    """Whether y* is a class."""
    return isinstance(predictive.likelihood, (Bernoulli, Categorical))


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
    if not isinstance(predictive, np.ndarray):
        _check_classes(owner, one_predictive(owner, predictive))
    labels, probabilities, _ = class_rows(as_array(y, "y"), predictive)
    return labels, probabilities


def _check_classes(owner: str, predictive: Predictive) -> None:
    if not is_classes(predictive):
        raise ValueError(
            f"`{owner}` is for classes: the likelihoods Categorical and Bernoulli. Received: "
            f"{predictive.likelihood!r}. Of a regression see `pit_histogram`."
        )


def numbers(owner: str, y: Any, predictive: Predictive) -> Any:
    """Targets of a regression in the shape of `predictive.mean`, float64."""
    y = as_array(y, "y")
    if y.size != predictive.mean.size:
        raise ValueError(
            f"`y` of `{owner}` must have the shape of the predictions, {predictive.mean.shape}. "
            f"Received: shape {y.shape}."
        )
    return y.reshape(predictive.mean.shape).astype("float64")


def one_output(owner: str, values: Any, output: int) -> Any:
    """(N,) of values (N, ...): the output with this number."""
    flat = values.reshape(len(values), -1)
    if isinstance(output, bool) or not -flat.shape[1] <= output < flat.shape[1]:
        raise ValueError(
            f"`output` of `{owner}` must be the number of one of the {flat.shape[1]} outputs. "
            f"Received: output={output!r}."
        )
    return flat[:, output]
