"""Draws of PyMC as a posterior."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_priors.bridges.library import library
from keras_priors.inference.log_posterior import LogPosterior
from keras_priors.inference.sample_posterior import SamplePosterior
from keras_priors.utils.export import export


@export()
def from_pymc(model: Any, idata: Any, x: Any = None, y: Any = None, likelihood: Any = None) -> Any:
    """The draws that PyMC made of the weights of a Keras model, as a `SamplePosterior`.

    It predicts, is compared, summarized and saved as that of any method. Of a PyMC model in which
    the net is a part, it is the posterior of the weights, all else integrated out: predictions are
    then those of the net and the likelihood given here, without the other parts.

    Args:
        model: the Keras model whose weights `keras_priors.bridges.pymc.weights` or `to_pymc` made
            variables of.
        idata: `arviz.InferenceData` (or `xarray.DataTree`) of `pm.sample`, or of `sample` of what
            `pm.fit` gives.
        x: the inputs of the data: arrays, or a data set.
        y: the targets. None with a data set.
        likelihood: a likelihood, or a stock loss that is one; for several outputs, a structure of
            them. Defaults to None: the loss that the model was compiled with.

    Returns:
        A `keras_priors.inference.SamplePosterior`, with PyMC's statistics of its sampler.

    Raises:
        ModuleNotFoundError: without PyMC.
        ValueError: a weight without draws, or draws of other shapes; data or likelihood that
            `keras_priors.inference.LogPosterior` refuses.

    Example:
        >>> import arviz as az, keras, numpy as np
        >>> import keras_priors as kp
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(
        ...     1, use_bias=False, kernel_regularizer=kp.NormalPrior(0, 1), name="line")])
        >>> x, y = np.ones((3, 1)), np.ones((3, 1))
        >>> line = kp.bridges.pymc.to_pymc(model, x, y, kp.likelihoods.Normal(1.0))
        >>> # idata = pm.sample(model=line, cores=1)
        >>> idata = az.convert_to_dataset({"line.kernel": np.full((4, 50, 1, 1), 0.75)})
        >>> posterior = kp.bridges.pymc.from_pymc(model, idata, x, y, kp.likelihoods.Normal(1.0))
        >>> posterior.mean()["line/kernel"].tolist()
        [[0.75]]
    """
    library("pymc")
    log_posterior = LogPosterior(model, x, y, likelihood)
    posterior = SamplePosterior.from_draws(log_posterior, idata)
    number = (posterior.num_chains, posterior.num_draws)
    stats = idata["sample_stats"] if "sample_stats" in _groups(idata) else {}
    for name in stats:
        values = np.asarray(stats[name].values)
        if values.shape == number and values.dtype.kind in "bfiu":
            posterior.sample_stats[str(name)] = values
    return posterior


def _groups(idata: Any) -> list[str]:
    """The names of the groups, of either kind of ArviZ data."""
    groups = getattr(idata, "groups", ())
    return [str(g).strip("/") for g in (groups() if callable(groups) else groups)]
