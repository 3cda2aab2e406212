"""How chains have moved."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from keras_priors.inference.arviz import import_arviz
from keras_priors.plots.canvas import many_axes
from keras_priors.plots.chains import chains_of
from keras_priors.utils.export import export

_LINES: dict[str, Any] = {
    "plot_kwargs": {"linewidth": 1.2},
    "trace_kwargs": {"linewidth": 0.8, "alpha": 0.9},
}


@export()
def trace(
    posterior: Any, paths: Any = None, *, x: Any = None, most: int = 6, ax: Any = None
) -> Any:
    """Density of the draws of each chain, and the draws in their order, by ArviZ' `plot_trace`.

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
        ImportError: ArviZ is not installed.

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
    scalars = chains_of("trace", posterior, paths, x, most)
    az = import_arviz()
    data = az.from_dict(posterior=scalars)
    with many_axes(ax, len(scalars), 2, (9.0, 1.5 * len(scalars) + 0.4)) as axes:
        with warnings.catch_warnings():
            # ArviZ below 1 calls what matplotlib 3.11 is to lose.
            warnings.simplefilter("ignore", DeprecationWarning)
            az.plot_trace(data, axes=axes, compact=False, legend=False, **_LINES)
        for line in axes:
            line[0].set_title("")
            for one in line:
                one.title.set_fontsize(9)
                one.tick_params(labelsize=8)
    return np.asarray(axes)
