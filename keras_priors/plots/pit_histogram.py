"""Whether predictive distributions are calibrated."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_priors.functional.as_array import as_array
from keras_priors.metrics.pit_values import pit_values
from keras_priors.plots.canvas import BLUE, INK, PALE, one_axes
from keras_priors.plots.predictions import is_classes, one_of_numbers
from keras_priors.utils.export import export
from keras_priors.utils.parameters import whole_number


@export()
def pit_histogram(y: Any, predictive: Any, *, n_bins: int = 10, ax: Any = None) -> Any:
    """Histogram of the probability integral transform F(y) of observations that were not seen.

    F is the predictive distribution function of each observation. Calibrated predictions make F(y)
    uniform: bars at the dashed line, nine of ten within the hatched band that so many observations
    leave to chance. A hill is too wide a prediction, a valley too narrow a one, a slope a bias.

    The values are those of `keras_priors.metrics.pit_values`.

    Args:
        y: observations, in the shape of the predictions; several outputs are pooled.
        predictive: `keras_priors.Predictive` of a regression, with a likelihood; or a
            `calibration.RecalibratedPredictive`.
        n_bins: integer, number of bars. Defaults to 10.
        ax: Axes. Defaults to None: a new figure.

    Returns:
        The Axes.

    Raises:
        TypeError: `predictive` is no `Predictive` of one output.
        ValueError: classes, no likelihood, shapes that do not match.

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> p = kp.Predictive(np.zeros((1, 200, 1)), kp.likelihoods.Normal(1.0))
        >>> ax = kp.plots.pit_histogram(np.full((200, 1), 0.1), p)        # all near the median
        >>> [round(bar.get_height(), 1) > 5 for bar in ax.patches[:10]].index(True)
        5

    References:
        - Gneiting, Balabdaoui and Raftery, 2007, Probabilistic forecasts, calibration and
          sharpness, Journal of the Royal Statistical Society B 69, section 3.1.
    """
    n_bins = whole_number("pit_histogram", "n_bins", n_bins)
    one = one_of_numbers("pit_histogram", predictive)
    if is_classes(one):
        raise ValueError(
            "`pit_histogram` needs outcomes with an order. Received: classes. See "
            "`reliability_diagram`."
        )
    values = pit_values(as_array(y, "y"), one)
    height, edges = np.histogram(values, n_bins, (0.0, 1.0), density=True)
    with one_axes(ax, (5.0, 3.4)) as ax:
        ax.bar(
            edges[:-1], height, 1.0 / n_bins, align="edge", color=BLUE, edgecolor="white", alpha=0.8
        )
        low, high = _chance(values.size, n_bins)
        ax.axhspan(low, high, facecolor="none", edgecolor=PALE, hatch="////", linewidth=0, zorder=2)
        ax.axhline(1.0, color=INK, linewidth=1.2, linestyle="--")
        ax.set(xlabel="F(y), the share of y* below y", ylabel="density", xlim=(0, 1))
        ax.set_ylim(0, 1.08 * max(height.max(), high, 1.5))
        ax.set_title(f"{values.size} observations; hatched: 90% by chance", fontsize=9, loc="left")
    return ax


def _chance(count: int, n_bins: int) -> tuple[float, float]:
    from scipy.stats import binom

    low, high = binom(count, 1.0 / n_bins).ppf((0.05, 0.95)) * n_bins / count
    return float(low), float(high)
