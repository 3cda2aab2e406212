"""What `compare` says of one prediction: numbers with their standard errors."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from keras_priors import likelihoods
from keras_priors.metrics.accuracy_at_coverage import accuracy_at_coverage
from keras_priors.metrics.adaptive_calibration_error import adaptive_calibration_error
from keras_priors.metrics.area_under_risk_coverage import area_under_risk_coverage
from keras_priors.metrics.aupr import aupr
from keras_priors.metrics.auroc import auroc
from keras_priors.metrics.brier_score import brier_score
from keras_priors.metrics.classes import class_values
from keras_priors.metrics.classwise_calibration_error import classwise_calibration_error
from keras_priors.metrics.crps import crps
from keras_priors.metrics.expected_calibration_error import expected_calibration_error
from keras_priors.metrics.interval_coverage import interval_coverage
from keras_priors.metrics.interval_score import interval_score
from keras_priors.metrics.interval_width import interval_width
from keras_priors.metrics.maximum_calibration_error import maximum_calibration_error
from keras_priors.metrics.negative_log_predictive_density import negative_log_predictive_density
from keras_priors.metrics.number_rows import (
    coverage_rows,
    crps_rows,
    interval_score_rows,
    std_rows,
    width_rows,
)
from keras_priors.metrics.quantile_calibration_error import quantile_calibration_error
from keras_priors.metrics.rows import like_rows
from keras_priors.metrics.sharpness import sharpness
from keras_priors.predictive.predictive import Predictive
from keras_priors.predictive.quantile_predictive import QuantilePredictive

_COVERAGE = 0.9
_REPLICATES = 100

Score = tuple[float, float | None]
"""A number and its standard error, or None."""

# Of each row a number, whose mean is the score.
_ROWS_OF_CLASSES: dict[str, Callable[..., Any]] = {
    "accuracy": lambda y, p: class_values(y, p)[1],
    "brier": lambda y, p: class_values(y, p)[0],
}
_ROWS_OF_NUMBERS: dict[str, Callable[..., Any]] = {
    "mae": lambda y, p: np.abs(like_rows(y, p.mean.shape, "y") - p.mean),
    "coverage": lambda y, p: coverage_rows(y, p, _COVERAGE),
    "crps": crps_rows,
    "interval_score": lambda y, p: interval_score_rows(y, p, _COVERAGE),
    "width": lambda y, p: width_rows(p, _COVERAGE),
    "sharpness": lambda y, p: std_rows(p),
}
# Of all rows together, with weights.
_WEIGHTED: dict[str, Callable[..., float]] = {
    "ece": expected_calibration_error,
    "mce": maximum_calibration_error,
    "ace": adaptive_calibration_error,
    "cce": classwise_calibration_error,
    "auroc": auroc,
    "aupr": aupr,
    "accuracy_at_coverage": accuracy_at_coverage,
}
_OF_ANY = ("nll", "aurc")
_OF_NUMBERS = ("rmse", *_ROWS_OF_NUMBERS, "qce")
_OF_CLASSES = (*_ROWS_OF_CLASSES, *_WEIGHTED)
DIFFERENCES = ("nll_diff", "dse")
BEYOND = (*DIFFERENCES, "elpd_loo", "fit_s", "predict_s")
"""Columns that are of several candidates, of a posterior, or of the clock."""

NAMES = tuple(dict.fromkeys((*_OF_ANY, *_OF_CLASSES, *_OF_NUMBERS, *BEYOND)))
# A function that is a named score has the errors of that one.
_NAMED: dict[Any, str] = {
    negative_log_predictive_density: "nll",
    brier_score: "brier",
    crps: "crps",
    interval_score: "interval_score",
    interval_coverage: "coverage",
    interval_width: "width",
    sharpness: "sharpness",
    area_under_risk_coverage: "aurc",
    quantile_calibration_error: "qce",
}


def chosen_metrics(metrics: Any) -> dict[str, Any] | None:
    """By column: a name of `NAMES`, or a function; None for the default."""
    if metrics is None:
        return None
    if isinstance(metrics, str) or callable(metrics):
        metrics = [metrics]
    named = metrics.items() if isinstance(metrics, Mapping) else ((None, one) for one in metrics)
    chosen: dict[str, Any] = {}
    for column, one in named:
        if isinstance(one, str) and one in NAMES:
            chosen[column or one] = one
        elif callable(one) and (column or inspect.isfunction(one)):
            chosen[column or one.__name__] = _NAMED.get(one, one)
        else:
            waic = isinstance(one, str) and "waic" in one.lower()
            raise ValueError(
                "`metrics` must hold functions of (y, predictive), by a mapping from names where "
                f"they have none, or names of: {', '.join(NAMES)}. Received: {one!r}."
                + (' Take "elpd_loo" in its place: ArviZ 1 has no WAIC.' if waic else "")
            )
    if not chosen:
        raise ValueError("`metrics` must hold one metric at least. Received: none.")
    return chosen


def scores(
    predictive: Any, y: Any, chosen: Mapping[str, Any] | None, kept: dict[str, Any]
) -> dict[str, Score]:
    """By column: the number and its error, of those that the likelihood has.

    Args:
        predictive: `Predictive` of one output, or quantiles.
        y: targets.
        chosen: what `chosen_metrics` gave.
        kept: is given what each row has of "nll", where this is asked for.
    """
    no_draws = isinstance(predictive, QuantilePredictive)
    of_classes = (likelihoods.Bernoulli, likelihoods.Categorical)
    classes = not no_draws and isinstance(predictive.likelihood, of_classes)
    if chosen is None:
        default = ("accuracy", "brier", "ece") if classes else ("rmse", "coverage", "crps")
        chosen = {name: name for name in ("nll", *DIFFERENCES, *default)}
    allowed = {*_OF_ANY, *(_OF_CLASSES if classes else _OF_NUMBERS)}
    if no_draws and not predictive.has_density:
        allowed.remove("nll")
    named = {one for one in chosen.values() if not callable(one)}
    if "nll" in allowed and named & {"nll", *DIFFERENCES}:
        kept["nll"] = -predictive.log_prob(y)
    found = {}
    for column, one in chosen.items():
        if callable(one):
            found[column] = _of_function(one, predictive, y)
        elif one == "nll" and one in allowed:
            found[column] = of_rows(kept["nll"])
        elif one in allowed:
            found[column] = _of_name(one, predictive, y)
    # A ranking of rows of one kind has no value.
    return {column: score for column, score in found.items() if not np.isnan(score[0])}


def of_rows(values: Any) -> Score:
    """The mean over all, and its error: rows are independent, what is within one is not."""
    values = np.asarray(values, "float64")
    each = values.reshape(len(values), -1).mean(axis=1)
    if len(each) < 2 or not np.all(np.isfinite(each)):
        return float(values.mean()), None
    return float(values.mean()), float(each.std(ddof=1) / np.sqrt(len(each)))


def _of_name(name: str, predictive: Predictive, y: Any) -> Score:
    if name == "rmse":
        square, error = of_rows(
            np.square(like_rows(y, predictive.mean.shape, "y") - predictive.mean)
        )
        root = float(np.sqrt(square))
        return root, None if error is None or root == 0.0 else error / (2.0 * root)
    if name == "qce":
        return quantile_calibration_error(y, predictive), None
    rows = {**_ROWS_OF_CLASSES, **_ROWS_OF_NUMBERS}.get(name)
    if rows is not None:
        return of_rows(rows(y, predictive))
    return _resampled({**_WEIGHTED, "aurc": area_under_risk_coverage}[name], predictive, y)


def _of_function(function: Any, predictive: Predictive, y: Any) -> Score:
    if "sample_weight" in inspect.signature(function).parameters:
        return _resampled(function, predictive, y)
    return _number(function, function(y, predictive)), None


def _resampled(function: Any, predictive: Predictive, y: Any) -> Score:
    """The value, and its deviation over rows that are drawn again: as weights, how often each."""
    value, rows = _number(function, function(y, predictive)), len(y)
    random = np.random.default_rng(0)
    counts = random.multinomial(rows, np.full(rows, 1.0 / rows), _REPLICATES)
    again = [float(function(y, predictive, sample_weight=c.astype("float64"))) for c in counts]
    finite = np.isfinite(again)
    # A ranking with no error among the rows has no value.
    if rows < 2 or not np.isfinite(value) or finite.mean() < 0.9:
        return value, None
    return value, float(np.std(np.asarray(again)[finite], ddof=1))


def _number(function: Any, value: Any) -> float:
    value = keras.ops.convert_to_numpy(value) if keras.ops.is_tensor(value) else value
    if np.ndim(value) != 0:
        raise ValueError(
            f"A metric of `compare` must give one number. Received: {function!r}, which gave an "
            f"array of shape {np.shape(value)}. Take its mean."
        )
    return float(value)
