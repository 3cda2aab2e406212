"""Whether chains have seen the same."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_priors.plots.canvas import INK, many_axes
from keras_priors.plots.chains import chains_of
from keras_priors.utils.export import export


@export()
def rank(posterior: Any, paths: Any = None, *, x: Any = None, most: int = 6, ax: Any = None) -> Any:
    """Histograms of the ranks that the draws of each chain have among all.

    Where all chains draw from one distribution each histogram is level, at its dashed line. A chain
    that has been elsewhere has too many high ranks, or low ones; one that moved too little has them
    in the middle.

    Args:
        posterior: an `inference.SamplePosterior`, as of `NUTS`, `HMC`, `SGLD` and `SGHMC`.
        paths: str or sequence of str, which weights. Defaults to None: all.
        x: rows, arrays: predictions E[y* | x, w] there in the place of weights. Defaults to None.
        most: integer, how many scalars, evenly spaced. Defaults to 6.
        ax: array of as many Axes as scalars. Defaults to None: a new figure.

    Returns:
        Array of Axes, one for each scalar.

    Raises:
        TypeError: a posterior without chains.
        ValueError: no such weights, chains of fewer than 4 draws.
        ImportError: matplotlib is not installed.

    Example:
        >>> import keras, numpy as np
        >>> import keras_priors as kp
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(
        ...     1, use_bias=False, kernel_regularizer=kp.NormalPrior(0, 1), name="line")])
        >>> draws = np.random.default_rng(0).normal(size=(2, 20, 1, 1))
        >>> posterior = kp.inference.SamplePosterior(model, kp.likelihoods.Normal(1.0), [draws])
        >>> kp.plots.rank(posterior)[0].get_title()
        'line/kernel[0, 0]'

    References:
        - Vehtari et al., 2021, Rank-normalization, folding, and localization: an improved R-hat,
          section 5, arXiv:1903.08008.
    """
    from scipy.stats import rankdata

    scalars, left_out = chains_of("rank", posterior, paths, x, most)
    columns = min(3, len(scalars)) if ax is None else len(scalars)
    rows = -(-len(scalars) // columns)
    with many_axes(ax, rows, columns, (3.2 * columns, 2.4 * rows)) as axes:
        drawn = axes.ravel()[: len(scalars)]
        for one in axes.ravel()[len(scalars) :]:
            one.remove()
        for one, (name, chains) in zip(drawn, scalars.items(), strict=True):
            _draw(one, rankdata(chains).reshape(chains.shape))
            one.set_title(name, fontsize=9)
            one.tick_params(labelsize=8)
        drawn[-1].set_xlabel(f"{drawn[-1].get_xlabel()}{left_out}", fontsize=8)
    return drawn


def _draw(ax: Any, ranks: Any) -> None:
    """A histogram for each chain, one above the other, with a line where each would be level."""
    number, draws = ranks.shape
    bins = int(np.ceil(2 * draws ** (1 / 3)))  # Rice's rule
    edges = np.linspace(0.5, ranks.size + 0.5, bins + 1)
    heights = np.array([np.histogram(chain, edges)[0] for chain in ranks])
    step = 1.1 * max(heights.max(), 2 * draws / bins)
    for chain, height in enumerate(heights):
        style = {"color": f"C{chain}", "edgecolor": "white"}
        ax.bar(edges[:-1], height, np.diff(edges), chain * step, align="edge", **style)
        ax.axhline(chain * step + draws / bins, color=INK, linewidth=1.0, linestyle="--")
    ax.set(yticks=step * np.arange(number), yticklabels=range(number))
    ax.set_xlabel("rank among all chains", fontsize=8)
    ax.set_ylabel("chain", fontsize=8)
