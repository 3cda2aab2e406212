"""The standard deviations at which a search for a normal begins."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.inference.information_scales import information_scales
from keras_priors.inference.log_posterior import LogPosterior

# Rows by which the curvature is measured.
_ROWS = 1024
# Pairs of draws by which a common factor is chosen, and the factors.
_PAIRS, _FACTORS = 4, 0.5 ** np.arange(10.0)


def start_scales(log_posterior: LogPosterior, z: Any, seed: Any) -> Any:
    """Standard deviations (D,), NumPy float64, that follow the curvature at z (D,).

        s_i = c (F_ii + P_ii)^-1/2

    of `information_scales`, from up to 1024 rows. c is that power of 1/2 at which the ELBO is
    highest: where the model is no longer about linear within the standard deviations of its
    curvature, c is less than 1.

    Args:
        log_posterior: the log posterior.
        z: tensor (D,).
        seed: seed of the draws.
    """
    rows = log_posterior.num_rows
    most = min(rows, _ROWS)
    first, *words = backend.spawn_seeds(seed, 4)
    second, third, fourth = (backend.as_seed(each) for each in words)
    indices = np.sort(np.random.default_rng(first).permutation(rows)[:most])
    batch = log_posterior.observations.batch(indices)
    fixed = log_posterior.outputs.fixed()
    scales = information_scales(log_posterior, z, batch, second, third)
    noise = backend.standard_normal((_PAIRS, log_posterior.size), fourth)
    noise = ops.concatenate([noise, -noise])

    def densities(points: Any, fixed: Any, batch: Any, scale: Any) -> Any:
        return backend.map_draws(
            lambda z: log_posterior.batch_log_prob(z, fixed, batch, scale), points
        )

    moves = ops.convert_to_numpy(noise) * scales
    points = ops.convert_to_numpy(z) + _FACTORS[:, None, None] * moves
    points = ops.convert_to_tensor(points.reshape(-1, log_posterior.size).astype("float32"))
    factor = ops.convert_to_tensor(rows / most, dtype="float32")
    found = backend.compile_function(densities)(points, fixed, batch, factor)
    means = ops.convert_to_numpy(found).astype("float64").reshape(len(_FACTORS), -1).mean(axis=1)
    elbos = means + log_posterior.size * np.log(_FACTORS)
    return scales * _FACTORS[np.argmax(np.where(np.isfinite(elbos), elbos, -np.inf))]
