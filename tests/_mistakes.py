"""Sixty mistakes of a new user, and the doors through which each comes in."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

import keras_priors as kp

ROWS, WIDTH = 12, 3
layers = keras.layers


@dataclasses.dataclass
class Job:
    """What a user brings: a model, data, and what is said to `compile` and `fit`."""

    model: Any
    x: Any
    y: Any
    loss: Any = None
    num_data: Any = "rows"
    compiled: dict[str, Any] = dataclasses.field(default_factory=dict)
    fitted: dict[str, Any] = dataclasses.field(default_factory=dict)
    method: dict[str, Any] = dataclasses.field(default_factory=dict)


def numbers(*shape: int) -> Any:
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


def net(units: int = 1, activation: Any = None, *more: Any, prior: Any = None) -> Any:
    prior = kp.NormalPrior(0.0, 1.0) if prior is None else prior
    line = layers.Dense(units, activation, kernel_regularizer=prior, bias_regularizer=prior)
    return keras.Sequential([keras.Input((WIDTH,)), line, *more], name="net")


def regression(**changes: Any) -> Job:
    job = Job(net(), numbers(ROWS, WIDTH), numbers(ROWS, 1), kp.likelihoods.Normal(1.0))
    return dataclasses.replace(job, **changes)


def classes(**changes: Any) -> Job:
    y = np.arange(ROWS) % 3
    return dataclasses.replace(
        Job(net(3), numbers(ROWS, WIDTH), y, kp.likelihoods.Categorical()), **changes
    )


def binary(**changes: Any) -> Job:
    y = (np.arange(ROWS) % 2).astype("float32")[:, None]
    return dataclasses.replace(
        Job(net(1), numbers(ROWS, WIDTH), y, kp.likelihoods.Bernoulli()), **changes
    )


def counts(**changes: Any) -> Job:
    y = (np.arange(ROWS) % 4).astype("float32")[:, None]
    return dataclasses.replace(
        Job(net(1), numbers(ROWS, WIDTH), y, kp.likelihoods.Poisson()), **changes
    )


def sequences(**changes: Any) -> Job:
    prior = kp.NormalPrior(0.0, 1.0)
    model = keras.Sequential(
        [
            keras.Input((5, WIDTH)),
            layers.Dense(1, kernel_regularizer=prior, bias_regularizer=prior),
        ],
        name="net",
    )
    job = Job(model, numbers(ROWS, 5, WIDTH), numbers(ROWS, 5, 1), kp.likelihoods.Normal(1.0))
    return dataclasses.replace(job, **changes)


def changed(array: Any, value: Any) -> Any:
    array = np.array(array)
    array[4] = value
    return array


# --- the doors -----------------------------------------------------------------------------------


def compiled(job: Job) -> Any:
    job.model.compile("sgd", loss=job.loss, **job.compiled)
    if job.num_data is not None:
        kp.set_num_data(job.model, len(job.x) if job.num_data == "rows" else job.num_data)
    return job.model


def through_fit(job: Job) -> Any:
    history = compiled(job).fit(job.x, job.y, epochs=1, verbose=0, **job.fitted)
    return history.history["loss"]


def through_monitor(job: Job) -> Any:
    monitor = kp.callbacks.BayesianMonitor()
    history = compiled(job).fit(
        job.x, job.y, epochs=1, verbose=0, callbacks=[monitor], **job.fitted
    )
    return history.history["loss"]


def through_predict(job: Job) -> None:
    if job.model.built and isinstance(job.model, keras.Model):
        job.model.compile("sgd", loss=job.loss, **job.compiled)
    predictive = kp.predict(job.model, job.x, 2, verbose=0)
    for one in keras.tree.flatten(predictive):
        _ = one.std if not isinstance(one.likelihood, kp.likelihoods.Categorical) else one.mean


def through_method(job: Job) -> None:
    if isinstance(job.model, keras.Model) and job.compiled:
        job.model.compile("sgd", loss=job.loss, **job.compiled)
        job.loss = None
    # All methods begin alike, and this one compiles little.
    method = kp.inference.SGLD(num_burnin=1, num_samples=1, num_chains=1)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "1 draws of SGLD a chain are too few")
        method.fit(job.model, job.x, job.y, job.loss, seed=0, verbose=0, **job.method)


def through_compare(job: Job) -> Any:
    if isinstance(job.model, keras.Model) and job.model.built:
        job.model.compile("sgd", loss=job.loss, **job.compiled)
    table = kp.compare({"it": job.model}, job.x, job.y, 2, seed=0)
    return [table["it"]["nll"]]


def through_conversion(job: Job) -> None:
    kp.to_variational(job.model, num_data=None if job.num_data == "rows" else job.num_data)


DOORS: dict[str, Callable[[Job], Any]] = {
    "fit": through_fit,
    "monitor": through_monitor,
    "predict": through_predict,
    "method": through_method,
    "compare": through_compare,
    "convert": through_conversion,
}


def said(door: str, make: Callable[[], Job]) -> tuple[str, str]:
    """("works", "visible", "warned" or "refused", what was said).

    Visible is a loss or a score that is NaN or infinite, which every user sees.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            numbers = DOORS[door](make())
        except (ValueError, TypeError, NotImplementedError) as error:
            return "refused", f"{type(error).__name__}: {error}"
    ours = [str(w.message) for w in caught if issubclass(w.category, UserWarning)]
    if ours:
        return "warned", "\n".join(ours)
    seen = numbers is not None and not np.all(np.isfinite(numbers))
    return ("visible", str(numbers)) if seen else ("works", "")
