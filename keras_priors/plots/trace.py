"""How chains have moved."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_priors.plots.canvas import many_axes
from keras_priors.plots.chains import chains_of
from keras_priors.utils.export import export

_BINS = 256
"""Of a density: so many that each is narrower than what smooths them."""


@export()
def trace(
    posterior: Any, paths: Any = None, *, x: Any = None, most: int = 6, ax: Any = None
) -> Any:
    """Density of the draws of each chain, and the draws in their order.

    Chains that have mixed have one density, and traces without a trend that lie over each other.
    The weights of a net can change places and signs, so that its chains are better judged by what
    they predict: give x.

    Args:
        posterior: an `inference.SamplePosterior`, as of `NUTS`, `HMC`, `SGLD` and `SGHMC`.
        paths: str or sequence of str, which weights. Defaults to None: all.
        x: rows, arrays: predictions E[y* | x, w] there in the place of weights. Defaults to None.
        most: integer, how many scalars, evenly spaced. Defaults to 6.
        ax: array of 2 * (number of scalars) Axes. Defaults to None: a new figure.

    Returns:
        Array of Axes (scalars, 2).

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
        >>> kp.plots.trace(posterior)[0, 1].get_title()
        'line/kernel[0, 0]'
    """
    scalars, left_out = chains_of("trace", posterior, paths, x, most)
    with many_axes(ax, len(scalars), 2, (9.0, 1.5 * len(scalars) + 0.7)) as axes:
        for (density, moved), (name, chains) in zip(axes, scalars.items(), strict=True):
            for chain in chains:
                if np.ptp(chain) > 0:
                    density.plot(*_density(chain), linewidth=1.2)
                else:
                    up = density.get_xaxis_transform()  # it has no density: a line all the way
                    density.plot([chain[0]] * 2, [0, 1], linewidth=1.2, transform=up)
                moved.plot(chain, linewidth=0.8, alpha=0.9)
            density.set_ylabel("density", fontsize=8)
            density.set(yticks=[], ylim=(0, None))
            density.spines["left"].set_visible(False)
            moved.set_xlim(0, chains.shape[1] - 1)
            moved.set_title(name, fontsize=9)
            for one in (density, moved):
                one.tick_params(labelsize=8)
        axes[-1, 0].set_xlabel("value; a line is a chain", fontsize=8)
        axes[-1, 1].set_xlabel(f"draw{left_out}", fontsize=8)
    return np.asarray(axes)


def _density(draws: Any) -> tuple[Any, Any]:
    """Draws smoothed by a normal of Silverman's width, mirrored at the least and the greatest."""
    from scipy.ndimage import gaussian_filter1d

    height, edges = np.histogram(draws, _BINS, density=True)
    quarters = np.subtract(*np.percentile(draws, (75, 25))) / 1.34
    spread = min(np.std(draws), quarters) if quarters > 0 else np.std(draws)
    width = 0.9 * spread * draws.size**-0.2
    return (edges[1:] + edges[:-1]) / 2, gaussian_filter1d(
        height, width / (edges[1] - edges[0]), mode="reflect"
    )
