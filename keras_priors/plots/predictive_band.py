"""A regression and its two kinds of doubt."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_priors.functional.as_array import as_array
from keras_priors.plots.canvas import BLUE, INK, legend_above, one_axes
from keras_priors.plots.predictions import is_classes, numbers, one_of_numbers, one_output
from keras_priors.predictive.predictive import Predictive
from keras_priors.utils.export import export

# More data points than this are drawn paler.
_MANY = 300
# More rows than this are not asked for their quantiles, each of which takes 5000 draws of y*.
_MOST_ROWS = 1000


@export()
def predictive_band(
    predictive: Any,
    x: Any,
    y: Any = None,
    *,
    coverage: float = 0.9,
    output: int = 0,
    feature: int | None = None,
    x_data: Any = None,
    ax: Any = None,
) -> Any:
    """Mean and central intervals of a regression over one input.

    The dark band holds the mean function E[y* | f] with the probability `coverage`: doubt about the
    weights, which more data would lessen (epistemic). The pale band with dashed edges holds an
    observation y*: the noise (aleatoric) comes on top. Without a likelihood there is only the
    first; of a `calibration.RecalibratedPredictive` only the second. Of more than 1000 rows every
    so many-th is drawn, in the order of x.

    Args:
        predictive: `keras_priors.Predictive` at N rows, recalibrated too.
        x: array (N,), (N, 1) or (N, features): the rows that were predicted, in any order.
        y: data to show as dots, at `x_data`. Defaults to None.
        coverage: float between 0 and 1. Defaults to 0.9.
        output: integer, which of several outputs. Defaults to 0.
        feature: integer, which column of x is drawn along. Defaults to None: the only one.
        x_data: the inputs of y, as `x`. Defaults to None: `x` itself.
        ax: Axes. Defaults to None: a new figure.

    Returns:
        The Axes.

    Raises:
        TypeError: `predictive` is no `Predictive` of one output.
        ValueError: classes, shapes that do not match, several columns without `feature`.

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> x = np.linspace(0, 1, 5)
        >>> draws = np.stack([x - 1, x, x + 1])[..., None]
        >>> p = kp.Predictive(draws, kp.likelihoods.Normal(0.5))
        >>> ax = kp.plots.predictive_band(p, x)
        >>> [float(v) for v in ax.lines[-1].get_ydata()]
        [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    one = one_of_numbers("predictive_band", predictive)
    if is_classes(one):
        raise ValueError(
            "`predictive_band` is for regressions. Received: classes. Over two inputs see "
            "`decision_boundary`, of single rows `examples`."
        )
    at = _column(x, feature, len(one.mean), "x")
    points = None
    if y is not None:
        points = _data(one, at, y, x_data, feature, output)
    order: Any = np.argsort(at, kind="stable")
    if len(order) > _MOST_ROWS:
        order = order[np.linspace(0, len(order) - 1, _MOST_ROWS).astype(int)]
    at = at[order]
    bands: dict[str, Any] = {}
    if isinstance(one, Predictive):
        one, order = Predictive(one.draws[:, order], one.likelihood), slice(None)
        bands["mean"] = one.interval(coverage, of="mean")
    if not isinstance(one, Predictive) or one.likelihood is not None:
        bands["y"] = one.interval(coverage)
    mean = one_output("predictive_band", one.mean, output)[order]
    bands = {
        name: [one_output("predictive_band", end, output)[order] for end in ends]
        for name, ends in bands.items()
    }
    share = f"{coverage:.0%}"
    with one_axes(ax) as ax:
        if "y" in bands:
            low, high = bands["y"]
            label = f"an observation ({share})"
            ax.fill_between(at, low, high, color=BLUE, alpha=0.18, linewidth=0, label=label)
            for edge in (low, high):
                ax.plot(at, edge, color=BLUE, linewidth=0.8, linestyle="--")
        if "mean" in bands:
            label = f"its mean: doubt about the weights ({share})"
            ax.fill_between(at, *bands["mean"], color=BLUE, alpha=0.5, linewidth=0, label=label)
        if points is not None:
            targets, where = points
            style = {"alpha": 0.4, "markersize": 2} if len(targets) > _MANY else {}
            style = {"markersize": 3.5, "alpha": 0.85, **style}
            ax.plot(where, targets, ".", color=INK, zorder=1.9, label="data", **style)
        ax.plot(at, mean, color=INK, linewidth=1.6, linestyle="-", label="mean")
        ax.set(xlabel="x", ylabel="y")
        ax.margins(x=0.01)
        legend_above(ax, 2)
    return ax


def _column(x: Any, feature: int | None, rows: int, name: str) -> Any:
    x = as_array(x)
    flat = x.reshape(len(x), -1)
    if flat.shape[1] != 1 and feature is None:
        raise ValueError(
            f"`{name}` of `predictive_band` has {flat.shape[1]} columns, and one is drawn along. "
            "Say which: feature=0."
        )
    if len(flat) != rows:
        raise ValueError(
            f"`{name}` of `predictive_band` must have {rows} rows. Received: {len(flat)}."
        )
    return flat[:, 0 if flat.shape[1] == 1 else feature].astype("float64")


def _data(
    one: Any, at: Any, y: Any, x_data: Any, feature: int | None, output: int
) -> tuple[Any, Any]:
    """Targets and where they stand."""
    if x_data is None:
        return one_output("predictive_band", numbers("predictive_band", y, one), output), at
    y = as_array(y, "y")
    return one_output("predictive_band", y, output), _column(x_data, feature, len(y), "x_data")
