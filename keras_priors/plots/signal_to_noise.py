"""How many weights have been learned."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_priors.plots.beliefs import beliefs
from keras_priors.plots.canvas import GREY, INK, logarithmic, one_axes
from keras_priors.utils.export import export

_MOST_LINES = 6
_MOST_POINTS = 1000
_MARKERS = "os^Dv*"


@export()
def signal_to_noise(source: Any, paths: Any = None, *, ax: Any = None) -> Any:
    """Share of the weights whose signal-to-noise ratio |mean| / sd is at least a given one.

    One line a tensor, and a thick one for all weights together. Where it has fallen far before the
    ratio 1, most weights could be zero for all that the data say: see `pruning_curve`. Weights
    whose posterior is a point have no ratio, and are left out.

    Args:
        source: built `keras.Model` with variational layers, or an `inference.Posterior`.
        paths: str or sequence of str, which weights. Defaults to None: all; of more than six
            tensors the lines have no names.
        ax: Axes. Defaults to None: a new figure.

    Returns:
        The Axes.

    Raises:
        TypeError: `source` is neither.
        ValueError: no weight with a spread, or no such path.

    Example:
        >>> import keras
        >>> import keras_priors as kp
        >>> model = keras.Sequential([keras.Input((3,)), kp.VariationalDense(2)])
        >>> kp.plots.signal_to_noise(model).get_xlabel()
        'signal-to-noise ratio |mean| / sd'

    References:
        - Blundell et al., 2015, Weight uncertainty in neural networks, section 5.1 and figure 4,
          arXiv:1505.05424.
    """
    ratios = {
        b.path: (np.abs(b.mean) / np.where(b.sd > 0, b.sd, 1.0))[b.sd > 0]
        for b in beliefs("signal_to_noise", source, paths)
    }
    ratios = {path: ratio.reshape(-1) for path, ratio in ratios.items() if ratio.size}
    if not ratios:
        raise ValueError(
            "`signal_to_noise` needs weights with a spread. Received: posteriors that are points. "
            "Fit one with a spread, such as keras_priors.inference.Laplace()."
        )
    with one_axes(ax) as ax:
        named = len(ratios) <= _MOST_LINES
        if len(ratios) > 1:
            for k, (path, ratio) in enumerate(ratios.items()):
                style = {"marker": _MARKERS[k], "markevery": 0.12, "label": path} if named else {}
                color = {} if named else {"color": GREY, "alpha": 0.6, "linestyle": "-"}
                if not named and k == 0:
                    style = {"label": f"each of {len(ratios)} tensors"}
                ax.plot(*_share_above(ratio), linewidth=1.1, markersize=4, **style, **color)
        (name,) = ratios if len(ratios) == 1 else ("all weights",)
        together = np.concatenate(list(ratios.values()))
        ax.plot(*_share_above(together), color=INK, linewidth=2.4, linestyle="-", label=name)
        ax.axvline(1.0, color=GREY, linewidth=0.8, linestyle=":")
        ax.set_xscale("log")
        ax.set(xlabel="signal-to-noise ratio |mean| / sd", ylabel="share of weights above it")
        ax.set_ylim(0.0, 1.03)
        logarithmic(ax.xaxis)
        if len(ratios) > 1:
            ax.legend(loc="best")
    return ax


def _share_above(ratio: Any) -> tuple[Any, Any]:
    """Ratios in order, and the share of weights with at least as high a one."""
    order = np.sort(ratio)
    share = 1.0 - np.arange(len(order)) / len(order)
    at = np.unique(np.linspace(0, len(order) - 1, min(len(order), _MOST_POINTS)).astype(int))
    # On a logarithmic axis zero has no place.
    return np.maximum(order[at], 1e-4), share[at]
