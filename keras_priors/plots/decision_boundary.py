"""A map of what a model says over two inputs."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from keras_priors.functional.as_array import as_array
from keras_priors.inference.posterior import Posterior
from keras_priors.plots.canvas import INK, POSITIVE, SIGNED, legend_above, one_axes
from keras_priors.plots.predictions import class_probabilities, is_classes, one_predictive
from keras_priors.predictive.predict import predict
from keras_priors.utils.export import export
from keras_priors.utils.parameters import whole_number

_OF_CLASSES = {
    "entropy": "entropy of the prediction (nats)",
    "mutual_information": "mutual information: doubt about the weights (nats)",
    "expected_entropy": "expected entropy: noise (nats)",
    "confidence": "largest probability",
}
_OF_NUMBERS = {
    "mean": "mean",
    "std": "standard deviation of y",
    "epistemic": "variance of the mean: doubt about the weights",
    "aleatoric": "variance of the noise",
}
_LEVELS = 15
_MARKERS = "o^sDv*XP"


@export()
def decision_boundary(
    source: Any,
    x: Any,
    y: Any = None,
    *,
    of: str | int | None = None,
    resolution: int = 100,
    margin: float = 0.25,
    num_samples: int | None = None,
    seed: Any = 0,
    ax: Any = None,
) -> Any:
    """A map over two inputs: of classes, or of how much is known there.

    Dark is much: of the entropy, no idea which class. The line is where the most probable class
    changes. Only the posterior can open up away from the data; a point estimate is sure everywhere
    but along its line.

    Args:
        source: built `keras.Model` that takes rows of two numbers, or an `inference.Posterior` of
            one.
        x: array (n, 2), the data: the map is drawn where they are, and `margin` beyond.
        y: labels (n,) of x, shown by markers; for a regression not shown. Defaults to None: no
            points.
        of: for classes "entropy", "mutual_information", "expected_entropy", "confidence", or an
            integer, the probability of that class; for numbers "mean", "std", "epistemic" or
            "aleatoric". Defaults to None: the entropy, or the std.
        resolution: integer, points of the grid along each input. Defaults to 100.
        margin: float, how far the map goes beyond x, as a share of its range. Defaults to 0.25.
        num_samples: integer, draws. Defaults to None: 100, or all if they are fewer.
        seed: integer or None. Defaults to 0.
        ax: Axes; there is then no legend of the classes above them, where a title of your own goes,
            and `ax.legend()` makes one. Defaults to None: a new figure.

    Returns:
        The Axes.

    Raises:
        TypeError: `source` is neither, or has several outputs.
        ValueError: x of another shape, another `of`.

    Example:
        >>> import keras, numpy as np
        >>> import keras_priors as kp
        >>> model = keras.Sequential([keras.Input((2,)), kp.VariationalDense(1)])
        >>> model.compile(loss=kp.likelihoods.Bernoulli())
        >>> x = np.array([[0.0, 0.0], [1.0, 1.0]])
        >>> ax = kp.plots.decision_boundary(model, x, [0, 1], resolution=10)
        >>> tuple(float(v) for v in ax.get_xlim())
        (-0.25, 1.25)
    """
    resolution = max(2, whole_number("decision_boundary", "resolution", resolution))
    x = as_array(x)
    if x.ndim != 2 or x.shape[1] != 2 or len(x) == 0:
        raise ValueError(
            f"`x` of `decision_boundary` must have the shape (n, 2). Received: shape {x.shape}. "
            "Of more inputs choose two for a model of its own, or see `examples`."
        )
    edges = [_edge(column, margin, resolution) for column in x.T]
    grid = np.stack(np.meshgrid(*edges), axis=-1).reshape(-1, 2).astype(x.dtype)
    one = one_predictive("decision_boundary", _predict(source, grid, num_samples, seed))
    values, name, top, style = _values(one, of)
    square, is_new = (resolution, resolution), ax is None
    with one_axes(ax, (5.4, 4.2)) as ax:
        bottom = float(values.min()) if top is None else 0.0
        top = float(values.max()) if top is None else top
        levels = np.linspace(bottom, top if top > bottom else bottom + 1.0, _LEVELS)
        image = ax.contourf(*edges, values.reshape(square), levels, cmap=style, extend="neither")
        bar = ax.figure.colorbar(image, ax=ax, label=name, format="%.3g")
        bar.ax.yaxis.set_major_locator(_ticks())
        if is_classes(one):
            _draw_boundary(ax, edges, class_probabilities("decision_boundary", one), square)
        if y is not None and is_classes(one):
            _draw_points(ax, x, y)
            if is_new:
                legend_above(ax, 8, title="class")
        ax.set(xlim=edges[0][[0, -1]], ylim=edges[1][[0, -1]], xlabel="first input")
        ax.set_ylabel("second input")
    return ax


def _edge(column: Any, margin: float, resolution: int) -> Any:
    low, high = float(column.min()), float(column.max())
    beyond = margin * ((high - low) or 1.0)
    return np.linspace(low - beyond, high + beyond, resolution)


def _predict(source: Any, grid: Any, num_samples: int | None, seed: Any) -> Any:
    if isinstance(source, Posterior):
        return source.predict(grid, num_samples, seed=seed, verbose=0)
    if isinstance(source, keras.Model):
        return predict(source, grid, num_samples or 100, seed=seed, verbose=0)
    raise TypeError(
        "`decision_boundary` takes a keras.Model or a posterior of keras_priors.inference. "
        f"Received: {type(source).__name__}."
    )


def _values(one: Any, of: Any) -> tuple[Any, str, float | None, str]:
    """Values (N,), their name, the largest that they can have, a map of colours."""
    if is_classes(one):
        p = class_probabilities("decision_boundary", one)
        if isinstance(of, (int, np.integer)) and not isinstance(of, bool) and 0 <= of < p.shape[1]:
            return p[:, of], f"probability of class {of}", 1.0, SIGNED
        of = "entropy" if of is None else of
        if of in _OF_CLASSES:
            if of == "confidence":
                return p.max(axis=1), _OF_CLASSES[of], 1.0, POSITIVE
            top = None if of == "mutual_information" else float(np.log(p.shape[1]))
            # The last bit may lie above.
            values = np.minimum(getattr(one, of).reshape(-1), np.inf if top is None else top)
            return values, _OF_CLASSES[of], top, POSITIVE
        known = [*map(repr, _OF_CLASSES), f"a class from 0 to {p.shape[1] - 1}"]
    else:
        of = ("mean" if one.likelihood is None else "std") if of is None else of
        if of in _OF_NUMBERS:
            values = getattr(one, of).reshape(len(one.mean), -1)[:, 0]
            return values, _OF_NUMBERS[of], None, SIGNED if of == "mean" else POSITIVE
        known = list(map(repr, _OF_NUMBERS))
    raise ValueError(
        f"`of` of `decision_boundary` must be one of {', '.join(known)}. Received: of={of!r}."
    )


def _ticks() -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(5)


def _draw_boundary(ax: Any, edges: Any, p: Any, square: tuple[int, int]) -> None:
    classes = range(1, 2) if p.shape[1] == 2 else range(p.shape[1])
    for c in classes:
        lead = p[:, c] - np.delete(p, c, axis=1).max(axis=1)
        if lead.min() < 0.0 < lead.max():
            ax.contour(*edges, lead.reshape(square), [0.0], colors=INK, linewidths=1.2)


def _draw_points(ax: Any, x: Any, y: Any) -> None:
    y = as_array(y, "y")
    y = y.argmax(axis=-1) if y.ndim == 2 and y.shape[1] > 1 else y.reshape(-1)
    if len(y) != len(x):
        raise ValueError(
            f"`y` of `decision_boundary` must hold one label for each of the {len(x)} rows of x. "
            f"Received: {len(y)}."
        )
    for k, label in enumerate(np.unique(y)):
        face = "white" if k % 2 == 0 else INK
        ax.plot(
            *x[y == label].T,
            _MARKERS[k % len(_MARKERS)],
            color=INK if k % 2 == 0 else "white",
            markerfacecolor=face,
            markersize=4.5,
            markeredgewidth=0.8,
            label=f"{label:g}",
        )
