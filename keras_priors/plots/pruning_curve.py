"""How predictions hold while weights are taken away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_priors.functional.as_array import as_array
from keras_priors.functional.likelihood_of import likelihood_of
from keras_priors.functional.outputs_at_draws import outputs_at_draws
from keras_priors.inference.posterior import Posterior
from keras_priors.plots.beliefs import Belief, beliefs
from keras_priors.plots.canvas import BLUE, GREY, one_axes
from keras_priors.plots.predictions import (
    is_classes,
    judged_classes,
    numbers,
    one_predictive,
)
from keras_priors.predictive.predictive import Predictive
from keras_priors.utils.export import export

_NAMES = {"nll": "negative log likelihood (nats per row)", "accuracy": "accuracy", "rmse": "RMSE"}


@export()
def pruning_curve(
    source: Any,
    x: Any,
    y: Any,
    *,
    metric: str = "nll",
    fractions: Sequence[float] | None = None,
    ax: Any = None,
) -> Any:
    """How well the posterior means predict as weights of low signal-to-noise are set to zero.

    At the share f of all weights, those with the lowest |mean| / sd over the whole model are zero,
    as `keras_priors.prune(model, fraction=f)` makes them. Weights that are points stay. Where the
    line leaves that of the whole model is how far to prune.

    Args:
        source: built and compiled `keras.Model` with variational layers, or an
            `inference.Posterior`; with one output.
        x: rows.
        y: their targets.
        metric: "nll", the mean of -log p(y | f) in nats; "accuracy", or "rmse". Defaults to "nll".
        fractions: sequence of floats in [0, 1]. Defaults to None: 21 of them, evenly.
        ax: Axes. Defaults to None: a new figure.

    Returns:
        The Axes.

    Raises:
        TypeError: `source` is neither, or has several outputs.
        ValueError: another `metric`, fractions out of range, a model without likelihood or
            posteriors.

    Example:
        >>> import keras, numpy as np
        >>> import keras_priors as kp
        >>> model = keras.Sequential([keras.Input((3,)), kp.VariationalDense(1)])
        >>> model.compile(loss=kp.likelihoods.Normal(1.0))
        >>> ax = kp.plots.pruning_curve(model, np.ones((4, 3)), np.ones((4, 1)))
        >>> len(ax.lines[0].get_xdata())
        21

    References:
        - Blundell et al., 2015, Weight uncertainty in neural networks, section 5.1 and figure 5,
          arXiv:1505.05424.
    """
    if metric not in _NAMES:
        raise ValueError(
            f"`metric` of `pruning_curve` must be one of {', '.join(map(repr, _NAMES))}. "
            f"Received: metric={metric!r}."
        )
    at = np.asarray(np.linspace(0, 1, 21) if fractions is None else fractions, "float64").ravel()
    if not at.size or not np.all((at >= 0.0) & (at <= 1.0)):
        raise ValueError(f"`fractions` must lie in [0, 1]. Received: fractions={fractions!r}.")
    found = beliefs("pruning_curve", source)
    is_posterior = isinstance(source, Posterior)
    likelihood = source.likelihood if is_posterior else likelihood_of(source)
    model = source.model if is_posterior else source
    values = _pruned(found, at)
    # One program for all: the pruned means stand where draws of the weights do.
    outputs = outputs_at_draws(
        model,
        [b.target for b in found],
        lambda start, stop: [values(b, start, stop) for b in found],
        len(at),
        x,
        verbose=0,
    )
    if isinstance(outputs, (dict, list, tuple)):
        one_predictive("pruning_curve", outputs)
    values = [_value(metric, Predictive(outputs[k][None], likelihood), y) for k in range(len(at))]
    with one_axes(ax) as ax:
        ax.plot(at, values, color=BLUE, linestyle="-", marker="o", markersize=4)
        whole = values[int(np.argmin(at))]
        label = f"with {at.min():.0%} of the weights set to zero"
        ax.axhline(whole, color=GREY, linewidth=0.9, linestyle="--", zorder=0, label=label)
        ax.legend(loc="best")
        ax.set(xlabel="share of weights set to zero", ylabel=_NAMES[metric], xlim=(-0.02, 1.02))
    return ax


def _pruned(found: list[Belief], at: Any) -> Any:
    """From a weight and two numbers to its means at the shares between them."""
    has = [b.sd > 0 for b in found]
    ratios = [
        np.where(h, np.abs(b.mean) / np.where(h, b.sd, 1.0), np.inf)
        for b, h in zip(found, has, strict=True)
    ]
    flat = np.concatenate([r.reshape(-1) for r in ratios])
    rank = np.empty(flat.size, "int64")
    rank[np.argsort(flat, kind="stable")] = np.arange(flat.size)
    parts = np.split(rank, np.cumsum([b.size for b in found])[:-1])
    by_path = {
        b.path: np.where(h, part.reshape(b.mean.shape), flat.size)
        for b, h, part in zip(found, has, parts, strict=True)
    }
    total = sum(int(h.sum()) for h in has)

    def values(belief: Belief, start: int, stop: int) -> Any:
        left = [by_path[belief.path] >= round(f * total) for f in at[start:stop]]
        return np.stack([np.where(kept, belief.mean, 0.0) for kept in left]).astype("float32")

    return values


def _value(metric: str, predictive: Predictive, y: Any) -> float:
    if metric == "nll":
        return -float(np.mean(predictive.log_prob(as_array(y, "y"))))
    if metric == "accuracy":
        labels, p = judged_classes("pruning_curve", y, predictive)
        return float(np.mean(p.argmax(axis=1) == labels))
    if is_classes(predictive):
        raise ValueError(
            'metric="rmse" is for regressions. Received: classes. Use "nll" or "accuracy".'
        )
    errors = predictive.mean - numbers("pruning_curve", y, predictive)
    return float(np.sqrt(np.mean(np.square(errors))))
