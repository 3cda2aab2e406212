"""Predictives and targets, checked, in the form in which pictures take them."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_priors.functional.as_array import as_array
from keras_priors.likelihoods.bernoulli import Bernoulli
from keras_priors.likelihoods.categorical import Categorical
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
    """float64 (N, C), C at least 2, from a predictive or an array; further axes become rows."""
    if isinstance(predictive, np.ndarray):
        p = predictive.astype("float64")
        single = p.ndim == 1 or p.shape[-1] == 1
    else:
        one = one_predictive(owner, predictive)
        if not is_classes(one):
            raise ValueError(
                f"`{owner}` is for classes: the likelihoods Categorical and Bernoulli. Received: "
                f"{one.likelihood!r}. Of a regression see `pit_histogram`."
            )
        p, single = one.probabilities, isinstance(one.likelihood, Bernoulli)
    if single:
        p = p.reshape(-1)
        p = np.stack([1.0 - p, p], axis=1)
    p = p.reshape(-1, p.shape[-1])
    if not (len(p) and np.all(p >= 0.0) and np.allclose(p.sum(axis=1), 1.0, atol=1e-4)):
        values = f", of values from {p.min():.4g} to {p.max():.4g}" if len(p) else ""
        raise ValueError(
            f"`{owner}` needs rows of probabilities: not negative, with the sum 1. Received: "
            f"{len(p)} rows{values}. Of logits take the softmax first."
        )
    return p


def class_labels(owner: str, y: Any, p: Any) -> Any:
    """Integer labels (N,) for probabilities (N, C); of one-hot rows the place of the 1."""
    y = as_array(y, "y")
    if y.size == p.size and y.ndim > 1 and y.shape[-1] == p.shape[-1]:
        y = y.reshape(p.shape).argmax(axis=-1)
    y = y.reshape(-1)
    if len(y) != len(p):
        raise ValueError(
            f"`y` of `{owner}` must hold one label for each of the {len(p)} rows that were "
            f"predicted. Received: {len(y)}."
        )
    if not np.all(np.isin(y, np.arange(p.shape[1]))):
        raise ValueError(
            f"`y` of `{owner}` must hold integer labels from 0 to {p.shape[1] - 1}. Received: "
            f"values from {y.min()} to {y.max()}."
        )
    return y.astype("int64")


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
