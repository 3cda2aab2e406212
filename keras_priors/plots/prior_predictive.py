"""What a model believes before it has seen data."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from keras_priors.functional.as_array import as_array
from keras_priors.plots.canvas import BLUE, INK, legend_above, one_axes
from keras_priors.plots.predictions import is_classes, one_predictive
from keras_priors.predictive.predictive import Predictive
from keras_priors.predictive.prior_predictive import prior_predictive as drawn
from keras_priors.utils.export import export
from keras_priors.utils.parameters import whole_number

_BINS = 30


@export()
def prior_predictive(
    source: Any,
    x: Any,
    *,
    num_curves: int = 20,
    num_samples: int = 200,
    output: int = 0,
    seed: Any = 0,
    ax: Any = None,
) -> Any:
    """Functions drawn from the prior: what the model holds for possible before any data.

    Over one input: curves E[y* | f_s] at draws of the weights from their priors, and behind them
    the central 50% and 90% of all draws. Over more inputs: the histogram of E[y* | f_s] over all
    draws and rows, of classes of all probabilities. Curves steeper, or values larger, than anything
    that you would believe say that the prior is too wide; a heap of probabilities at 0 and 1, too.

    Args:
        source: built `keras.Model` all of whose weights have a prior; or the
            `keras_priors.Predictive` that `keras_priors.prior_predictive` gave at x.
        x: rows, as the model takes them.
        num_curves: integer, how many curves. Defaults to 20.
        num_samples: integer, draws of the weights. Defaults to 200.
        output: integer, which of several outputs. Defaults to 0.
        seed: integer or None. Defaults to 0.
        ax: Axes. Defaults to None: a new figure.

    Returns:
        The Axes.

    Raises:
        TypeError: `source` is neither.
        ValueError: a weight without a prior, shapes that do not match.

    Example:
        >>> import keras, numpy as np
        >>> import keras_priors as kp
        >>> model = keras.Sequential([keras.Input((1,)), kp.VariationalDense(1)])
        >>> ax = kp.plots.prior_predictive(model, np.linspace(-1, 1, 9)[:, None], num_curves=5)
        >>> len(ax.lines)
        5

    References:
        - Gelman et al., 2020, Bayesian workflow, section 2.4, arXiv:2011.01808.
    """
    num_curves = whole_number("prior_predictive", "num_curves", num_curves)
    if isinstance(source, keras.Model):
        source = drawn(source, x, num_samples, seed=seed, verbose=0)
    elif not isinstance(source, (Predictive, dict, list, tuple)):
        raise TypeError(
            "`prior_predictive` takes a keras.Model, or the Predictive that "
            f"keras_priors.prior_predictive gave. Received: {type(source).__name__}."
        )
    one = one_predictive("prior_predictive", source)
    x = as_array(x)
    values = _means(one)
    if len(x) != values.shape[1]:
        raise ValueError(
            f"`x` of `prior_predictive` must have the {values.shape[1]} rows that were predicted. "
            f"Received: {len(x)}."
        )
    if not -values.shape[2] <= output < values.shape[2]:
        raise ValueError(
            f"`output` of `prior_predictive` must be the number of one of the {values.shape[2]} "
            f"outputs. Received: output={output!r}."
        )
    with one_axes(ax, (5.8, 3.6)) as ax:
        if x[0].size == 1:
            _curves(ax, x.reshape(-1), values[:, :, output], num_curves)
            name = "E[y | f]"
            if is_classes(one):
                name = f"probability of class {1 if values.shape[2] == 1 else output}"
            ax.set(xlabel="x", ylabel=name)
        else:
            _histogram(ax, values if is_classes(one) else values[:, :, output], is_classes(one))
    return ax


def _means(one: Any) -> Any:
    """E[y* | f_s], (S, N, outputs)."""
    draws = one.draws[..., None] if one.draws.ndim == 2 else one.draws
    means = draws if one.likelihood is None else one.likelihood.mean(draws)
    means = keras.ops.convert_to_numpy(means)
    return means.reshape(*means.shape[:2], -1)


def _curves(ax: Any, at: Any, values: Any, num_curves: int) -> None:
    order = np.argsort(at, kind="stable")
    at, values = at[order], values[:, order]
    q05, q25, q75, q95 = np.quantile(values, (0.05, 0.25, 0.75, 0.95), axis=0)
    ax.fill_between(
        at, q05, q95, color=BLUE, alpha=0.15, linewidth=0, label=f"90% of {len(values)} draws"
    )
    ax.fill_between(at, q25, q75, color=BLUE, alpha=0.3, linewidth=0, label="50%")
    for k, curve in enumerate(values[:num_curves]):
        label = f"{min(num_curves, len(values))} of them" if k == 0 else None
        ax.plot(at, curve, color=INK, alpha=0.7, linewidth=0.8, linestyle="-", label=label)
    legend_above(ax, 3)


def _histogram(ax: Any, values: Any, classes: bool) -> None:
    flat = values.reshape(-1)
    style = {"color": BLUE, "edgecolor": "white", "alpha": 0.8}
    ax.hist(flat, _BINS, range=(0.0, 1.0) if classes else None, density=True, **style)
    what = "probabilities of the classes" if classes else "E[y | f]"
    ax.set(xlabel=f"{what}, over draws and rows", ylabel="density")
