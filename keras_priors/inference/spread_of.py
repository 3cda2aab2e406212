"""How wide draws are beside what the curvature says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.inference.information_scales import information_scales
from keras_priors.inference.log_posterior import LogPosterior
from keras_priors.utils.export import share

_ROWS = 1024


@share
def spread_of(posterior: Any, centre: Mapping[str, Any], stddev: Mapping[str, Any]) -> float:
    """The median over weights of their standard deviation, in those of a diagonal Laplace.

        median_i sd_i / s_i,    s_i = (F_ii + P_ii)^-1/2 at the centre

    s_i is the deviation of a weight given all others. That of a normal posterior is never less, so
    that draws of one have a spread of at least 1 in every weight, and more where weights are
    correlated or there are several modes. Weights with bounds or an unknown scale are left out; NaN
    where there are no others.

    Args:
        posterior: a posterior with the data of `fit`.
        centre: mapping from path to array, where the curvature is measured.
        stddev: mapping from path to array.
    """
    data = posterior._observations
    log_posterior = LogPosterior(
        posterior.model,
        data.x,
        data.y,
        posterior.likelihood,
        sample_weight=data.weight,
        temperature=posterior.temperature or 1.0,
    )
    positions = log_posterior.positions
    most = min(data.count, _ROWS)
    rows = ((2 * np.arange(most) + 1) * data.count) // (2 * most)
    words = (backend.as_seed(each) for each in backend.spawn_seeds(0, 2))
    z = ops.convert_to_tensor(log_posterior.flatten(centre))
    scales = information_scales(log_posterior, z, data.batch(rows), *words)
    parts = np.split(scales, np.cumsum(positions.sizes)[:-1])
    ratios = [
        np.ravel(stddev[path]) / part
        for k, (path, part) in enumerate(zip(positions.paths, parts, strict=True))
        if not (positions.is_bounded(k) or positions.is_scaled(k))
    ]
    return float(np.median(np.concatenate(ratios))) if ratios else float("nan")
