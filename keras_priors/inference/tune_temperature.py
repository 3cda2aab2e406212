"""The temperature at which a posterior predicts best."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from keras_priors.inference.compare import compare
from keras_priors.inference.table import Table
from keras_priors.inference.tuned_temperature import TunedTemperature
from keras_priors.inference.workers import Workers, check_executor
from keras_priors.utils.export import export
from keras_priors.utils.parameters import one_positive
from keras_priors.utils.warn import warn


@export()
def tune_temperature(
    fit: Callable[[float], Any],
    x: Any,
    y: Any,
    temperatures: Sequence[float] = (1.0, 0.3, 0.1, 0.03, 0.01),
    num_samples: int | None = None,
    seed: Any = 0,
    *,
    executor: Any = None,
) -> TunedTemperature:
    """Fit at several temperatures, and choose by how well each predicts rows it has not seen.

    A temperature other than 1 is not Bayes' rule (`keras_priors.set_num_data` says what it costs
    in meaning), so that nothing but data can choose it: those of a validation set, which neither
    a fit nor the final judgement has a part in. The negative log density of y is what `compare`
    calls `nll`, in nats per observation.

    Args:
        fit: function of a temperature T that gives a posterior, a compiled `keras.Model` with
            variational layers, or a `Predictive` at x; such as
            `lambda T: kp.inference.SGHMC().fit(model, x_train, y_train, temperature=T)`. It is
            called once for each.
        x: inputs of the rows to judge by.
        y: their targets.
        temperatures: numbers greater than 0. Defaults to (1, 0.3, 0.1, 0.03, 0.01).
        num_samples: integer, draws for each prediction. Defaults to None: as `compare`.
        seed: integer or None, seed of the predictions. Defaults to 0.
        executor: a `concurrent.futures.Executor` of other processes, as in `DeepEnsemble.fit`: each
            fit is made and judged in one. `fit` goes there with all that it holds, and what it
            gives comes back: for a `ProcessPoolExecutor` a function of a module or a
            `functools.partial` of one, for Dask any. The results are those of one after the other
            here where `fit` has a seed. Defaults to None: here.

    Returns:
        A `TunedTemperature`: the temperature, what `fit` gave at it, and the table of all.

    Raises:
        TypeError: `fit` is no function, or gives what `compare` does not take; an `executor` that
            is none.
        ValueError: no temperature, or one that is not above 0; an `nll` that is no number; an
            `executor` that works in threads, in forked processes, or with other settings.

    Warns:
        UserWarning: the coldest is the best, and a colder one may be better.

    Example:
        >>> import keras, numpy as np
        >>> import keras_priors as kp
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(
        ...     1, use_bias=False, kernel_regularizer=kp.NormalPrior(0, 1), name="line")])
        >>> ones, laplace = np.ones((3, 1)), kp.inference.Laplace("full")
        >>> def fit(T):
        ...     noise = kp.likelihoods.Normal(1.0)
        ...     return laplace.fit(model, ones, ones, noise, verbose=0, temperature=T)
        >>> found = kp.inference.tune_temperature(fit, ones, 3 * ones, temperatures=(1.0, 0.1))
        >>> found.temperature, list(found.table)   # what is far off is better explained if unsure
        (1.0, ['1', '0.1'])

    References:
        - Wenzel et al., 2020, How good is the Bayes posterior in deep neural networks really?,
          arXiv:2002.02405, section 3 (the curve over temperatures).
    """
    if not callable(fit):
        raise TypeError(
            "`fit` must be a function of the temperature. Received: "
            f"{fit!r} of type {type(fit).__name__}. Write, for example, lambda T: "
            "keras_priors.inference.SGHMC().fit(model, x_train, y_train, temperature=T)."
        )
    each = [one_positive("tune_temperature", "temperatures", value) for value in temperatures]
    grid = list(dict.fromkeys(each))
    if not grid:
        raise ValueError(
            "`temperatures` must hold at least one number. Received: none. Leave it out for "
            "(1, 0.3, 0.1, 0.03, 0.01)."
        )
    check_executor(executor)
    rows: dict[str, dict[str, float]] = {}
    best: tuple[float, float, Any] | None = None
    task = partial(_judged, fit, x, y, num_samples, seed)
    for value, (row, fitted) in zip(grid, _of_all(task, grid, executor), strict=True):
        name = f"{value:g}"
        rows[name] = row
        nll = row["nll"]
        if not math.isfinite(nll):
            raise ValueError(
                "Temperatures are compared by a negative log density that is finite. Received: "
                f"nll={nll} at the temperature {name}. Look whether y is possible under the "
                "likelihood, and whether that fit has converged."
            )
        # Only the best is kept: a net may be large.
        if best is None or nll < best[0]:
            best = nll, value, fitted
    assert best is not None
    if len(grid) > 1 and best[1] == min(grid):
        warn(
            "The best temperature lies between others. Received: the coldest, "
            f"{best[1]:g}, as the best of {', '.join(rows)}. Try colder ones too.",
        )
    return TunedTemperature(best[1], best[2], Table(rows))


def _judged(
    fit: Callable[[float], Any], x: Any, y: Any, num_samples: int | None, seed: Any, value: float
) -> tuple[dict[str, float], Any]:
    """The row of `compare` of a temperature, and what `fit` gave there."""
    fitted, name = fit(value), f"{value:g}"
    return dict(compare({name: fitted}, x, y, num_samples, seed)[name]), fitted


def _of_all(
    task: Callable[[float], Any], grid: Sequence[float], executor: Any
) -> Iterator[tuple[dict[str, float], Any]]:
    """What the task gives of each temperature, here or in the processes of an executor."""
    if executor is None:
        yield from map(task, grid)
        return
    workers = Workers(executor, "temperature", "tune_temperature")
    try:
        for value in grid:
            workers.submit(value, task, value)
        for value in grid:
            try:
                outcome = workers.outcome(value)
            except Exception as error:
                if "pickle" not in str(error):
                    raise
                raise ValueError(
                    "What goes to the processes of an `executor` must be known there: `fit` a "
                    "function of a module, or a functools.partial of one, x and y arrays. "
                    f"Received: {type(error).__name__}: {error} Leave `executor` out where that "
                    "cannot be."
                ) from error
            del workers.futures[value]  # which holds a posterior that may be large
            yield outcome
    finally:
        workers.close()
