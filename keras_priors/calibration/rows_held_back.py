"""What a calibration is given: one `Predictive`, and what came true for its rows."""

from typing import Any

import keras
import numpy as np

from keras_priors.functional.as_array import as_array
from keras_priors.likelihoods.bernoulli import Bernoulli
from keras_priors.likelihoods.categorical import Categorical
from keras_priors.likelihoods.ordinal import Ordinal
from keras_priors.predictive.check_outputs_known import check_outputs_known
from keras_priors.predictive.predictive import Predictive


def check_predictive(owner: str, predictive: Any) -> None:
    """Refuse what is not one `Predictive` whose outputs are numbers."""
    if not isinstance(predictive, Predictive):
        several = isinstance(predictive, (dict, list, tuple))
        raise TypeError(
            f"{owner} takes a Predictive. Received: {type(predictive).__name__}. "
            + (
                "Of a model with several outputs calibrate each by itself, with its own targets."
                if several
                else "keras_priors.predict(model, x) gives one, so does `predict` of a posterior; "
                "around outputs of your own write keras_priors.Predictive(draws, likelihood)."
            )
        )
    check_outputs_known(owner, predictive)


def check_classes(owner: str, predictive: Any, *, ordered: bool = False) -> None:
    """Refuse what is no `Predictive` of classes; those of `Ordinal` where these are `ordered`."""
    check_predictive(owner, predictive)
    if not (is_of_classes(predictive) or (ordered and has_order(predictive))):
        names = "Categorical, Bernoulli and Ordinal" if ordered else "Categorical and Bernoulli"
        raise ValueError(
            f"{owner} is for classes: the likelihoods {names}. Received: "
            f"{_named(predictive)}. Give the likelihood to keras_priors.predict; for numbers take "
            "QuantileRecalibration or SplitConformalRegressor."
        )


def is_of_classes(predictive: Any) -> bool:
    """Whether the outcomes are classes."""
    return isinstance(predictive.likelihood, (Bernoulli, Categorical))


def has_order(predictive: Any) -> bool:
    """Whether they are classes with an order, which have probabilities, and a number each."""
    return isinstance(predictive.likelihood, Ordinal)


def check_numbers(owner: str, predictive: Any, needs: str | None = None) -> None:
    """Refuse classes, and a `Predictive` without a likelihood where something `needs` one."""
    check_predictive(owner, predictive)
    if is_of_classes(predictive):
        raise ValueError(
            f"{owner} is for numbers. Received: {_named(predictive)}, whose outcomes are classes. "
            "Take TemperatureScaling, IsotonicRegression or SplitConformalClassifier."
        )
    if needs and predictive.likelihood is None:
        raise ValueError(
            f"{needs} needs the likelihood p(y | f). Received: a Predictive without one. Write "
            "keras_priors.predict(model, x, likelihood=keras_priors.likelihoods.Normal(scale=...)),"
            ' or take SplitConformalRegressor("absolute"), which needs the mean alone.'
        )


def check_fitted(owner: str, fitted: Any, what: tuple[Any, ...] | None = None) -> None:
    """Refuse a use before `fit`, and of a `Predictive` unlike the one that was fitted."""
    if fitted is None:
        raise ValueError(
            f"{owner} must be fitted first. Received: a call before `fit`. Write "
            f"{owner}(...).fit(predictive, y) with rows that trained nothing."
        )
    if what is not None and what != fitted:
        raise ValueError(
            f"{owner} takes outcomes like those of its `fit`. Received: {_described(what)}, where "
            f"`fit` had {_described(fitted)}."
        )


def kind_of(predictive: Any) -> tuple[Any, ...]:
    """What must be the same in `fit` and after it: the kind of outcome, and the shape of a row."""
    of_classes = is_of_classes(predictive) or has_order(predictive)
    kind = type(predictive.likelihood) if of_classes else None
    return (kind, *(predictive.draws.shape[2:] if kind else target_shape(predictive)[1:]))


def outputs_of(predictive: Any) -> Any:
    """The draws with the last axis that a likelihood takes, (S, N, ..., d)."""
    draws = predictive.draws
    return draws[..., None] if draws.ndim == 2 else draws


def class_probabilities(predictive: Any) -> Any:
    """The probabilities (N, ..., d, C): d is 1, and for `Bernoulli` C is 2."""
    p = predictive.probabilities
    if not isinstance(predictive.likelihood, Bernoulli):
        return p[..., None, :]
    p = p[:, None] if p.ndim == 1 else p
    return np.stack([1.0 - p, p], axis=-1)


def labels_of(owner: str, predictive: Any, y: Any) -> Any:
    """The class of each outcome, int64 (N, ..., d), as `class_probabilities` has them."""
    y = _checked(owner, predictive, y)
    outputs = outputs_of(predictive)
    likelihood = predictive.likelihood
    first = keras.ops.convert_to_tensor(outputs[0].astype("float32"))
    labels = keras.ops.convert_to_numpy(likelihood.aligned(y, first, draws=False))
    classes = 2
    if not isinstance(likelihood, Bernoulli):
        classes, labels = predictive.probabilities.shape[-1], labels[..., None]
    wrong = ~np.isin(labels, np.arange(classes))
    if wrong.any():
        raise ValueError(
            f"`y` must hold classes from 0 to {classes - 1}"
            + (", as numbers or one-hot" if isinstance(likelihood, Categorical) else "")
            + f". Received: {int(wrong.sum())} of {wrong.size} that are none, first in row "
            f"{int(np.argwhere(wrong)[0][0])}. Leave out rows whose class is not known."
        )
    return labels.astype("int64")


def target_shape(predictive: Any) -> tuple[int, ...]:
    """The shape of the outcomes of a `Predictive` of numbers, (N, ...) or (N, ..., d)."""
    shape = tuple(predictive.draws.shape[1:])
    likelihood = predictive.likelihood
    if likelihood is None or len(shape) == 1:
        return shape
    return (*shape[:-1], shape[-1] // likelihood._outputs_per_target)


def targets_of(owner: str, predictive: Any, y: Any) -> Any:
    """The outcomes in float64, in the shape `target_shape`."""
    _checked(owner, predictive, y)
    values = keras.ops.convert_to_numpy(y) if keras.ops.is_tensor(y) else np.asarray(y)
    values = values.astype("float64")
    shape = target_shape(predictive)
    allowed = [shape, (*shape, 1)] if len(shape) == 1 else [shape]
    if len(shape) > 1 and shape[-1] == 1:
        allowed.append(shape[:-1])
    if values.shape not in allowed:
        raise ValueError(
            f"`y` of {owner} must have the shape of what was predicted, {shape}. "
            f"Received: shape {values.shape}."
        )
    bad = ~np.isfinite(values)
    if bad.any():
        raise ValueError(
            f"`y` of {owner} must be finite. Received: {int(bad.sum())} of {bad.size} that are "
            f"not, first in row {int(np.argwhere(bad)[0][0])}. Leave out rows whose target is not "
            "known."
        )
    return values.reshape(shape)


def _checked(owner: str, predictive: Any, y: Any) -> Any:
    y = as_array(y, "y")
    rows = predictive.draws.shape[1]
    if len(y) != rows:
        raise ValueError(
            f"`y` of {owner} must have one row for each of the {rows} rows that were predicted. "
            f"Received: an array of shape {y.shape}."
        )
    return y


def _named(predictive: Any) -> str:
    likelihood = predictive.likelihood
    return "a Predictive without a likelihood" if likelihood is None else repr(likelihood)


def _described(what: tuple[Any, ...]) -> str:
    kind, *shape = what
    return f"{'numbers' if kind is None else kind.__name__}, rows of shape {tuple(shape)}"
