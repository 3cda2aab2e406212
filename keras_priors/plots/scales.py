"""How much narrower the posterior is than the prior."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_priors.plots.beliefs import beliefs
from keras_priors.plots.canvas import BLUE, INK, ORANGE, legend_above, logarithmic, one_axes
from keras_priors.plots.prior_curves import scales_of
from keras_priors.utils.export import export

_MOST_ROWS = 40


@export()
def scales(source: Any, paths: Any = None, *, ax: Any = None) -> Any:
    """The width of the posterior beside that of the prior, one line a tensor.

    The dot is the median over the elements of the posterior standard deviation, the bars hold 50%
    and 90% of the elements. The upright mark is the prior's scale: half the width of its central
    68%, which of a normal is the standard deviation and which heavy tails have too; where its
    elements differ, the median of them. Dots at the mark have learned nothing.

    Args:
        source: built `keras.Model` with variational layers, or an `inference.Posterior`.
        paths: str or sequence of str, which weights. Defaults to None: all, at most the first 40.
        ax: Axes. Defaults to None: a new figure.

    Returns:
        The Axes.

    Raises:
        TypeError: `source` is neither.
        ValueError: no weight with a spread, or no such path.

    Example:
        >>> import keras
        >>> import keras_priors as kp
        >>> model = keras.Sequential([keras.Input((3,)), kp.VariationalDense(2, name="dense")])
        >>> [label.get_text() for label in kp.plots.scales(model).get_yticklabels()]
        ['dense/kernel', 'dense/bias']
    """
    found = [b for b in beliefs("scales", source, paths) if np.any(b.sd > 0)]
    if not found:
        raise ValueError(
            "`scales` needs weights with a spread. Received: posteriors that are points. Fit one "
            "with a spread, such as keras_priors.inference.Laplace()."
        )
    left_out = len(found) - _MOST_ROWS
    found = found[:_MOST_ROWS]
    with one_axes(ax, (6.4, 0.9 + 0.32 * len(found))) as ax:
        priors = [row for row, belief in enumerate(found) if belief.prior is not None]
        for row, belief in enumerate(found):
            q05, q25, q50, q75, q95 = np.quantile(
                belief.sd[belief.sd > 0], (0.05, 0.25, 0.5, 0.75, 0.95)
            )
            names = ("posterior: 90% of the elements", "50%", "their median") if row == 0 else ()
            wide, half, median = names or (None, None, None)
            ax.hlines(row, q05, q95, color=BLUE, linewidth=1.2, label=wide)
            ax.hlines(row, q25, q75, color=BLUE, linewidth=4.0, label=half)
            ax.plot(q50, row, "o", color=INK, markersize=6, label=median, zorder=3)
            if belief.prior is not None:
                width = float(np.median(scales_of(belief.prior, belief.shape)))
                label = "prior" if row == priors[0] else None
                ax.plot(
                    width, row, "|", color=ORANGE, markersize=15, markeredgewidth=3, label=label
                )
        ax.set_xscale("log")
        ax.set_yticks(range(len(found)), [b.path for b in found])
        ax.set_ylim(len(found) - 0.5, -0.5)
        ax.tick_params(axis="y", length=0)
        more = f" ({left_out} more weights are not shown)" if left_out > 0 else ""
        ax.set_xlabel("standard deviation" + more)
        logarithmic(ax.xaxis)
        legend_above(ax, 2)
    return ax
