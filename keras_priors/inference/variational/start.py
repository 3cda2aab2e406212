"""The standard deviations at which a search for a normal begins."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.inference.log_posterior import LogPosterior

# Rows, draws of their targets, and signs for the prior, by which the curvature is measured.
_ROWS, _TARGETS, _SIGNS = 1024, 32, 8
# Pairs of draws by which a common factor is chosen, and the factors.
_PAIRS, _FACTORS = 4, 0.5 ** np.arange(10.0)
# No start is wider, in units of z: a flat prior on what no row sees has no curvature.
_WIDEST = 1.0


def start_scales(log_posterior: LogPosterior, z: Any, seed: Any) -> Any:
    """Standard deviations (D,), NumPy float64, that follow the curvature at z (D,).

        s_i = c (F_ii + P_ii)^-1/2,    F_ii = E[(d/dz_i log p(y | x, w))^2]

    with P_ii = -d2 log p(z) / dz_i^2. F is the Fisher information: the mean is over 32 draws of
    all targets from the likelihood at the model's outputs, whose gradients are independent from
    row to row, so that it takes no gradient of a single row. Up to 1024 rows are looked at. c is
    that power of 1/2 at which the ELBO is highest: where the model is no longer about linear
    within the standard deviations of its curvature, c is less than 1.

    Args:
        log_posterior: the log posterior.
        z: tensor (D,).
        seed: seed of the draws.
    """
    rows, positions = log_posterior.num_rows, log_posterior.positions
    most = min(rows, _ROWS)
    first, *words = backend.spawn_seeds(seed, 4)
    second, third, fourth = (backend.as_seed(each) for each in words)
    indices = np.sort(np.random.default_rng(first).permutation(rows)[:most])
    batch = log_posterior.observations.batch(indices)
    fixed = log_posterior.outputs.fixed()
    outputs = backend.compile_function(log_posterior.outputs)(
        positions.constrain(z)[0], fixed, batch[0]
    )
    drawn = _targets(log_posterior.likelihoods.structure, batch[1], outputs, second)
    signs = backend.random_signs((_SIGNS, log_posterior.size), third)
    noise = backend.standard_normal((_PAIRS, log_posterior.size), fourth)
    noise = ops.concatenate([noise, -noise])

    def log_prior(z: Any) -> Any:
        return log_posterior.log_prior_at(z) + 0.0 * ops.sum(z)

    def curvature(z: Any, fixed: Any, batch: Any, drawn: Any, signs: Any) -> Any:
        x, _, weight = batch

        def squared(y: Any) -> Any:
            # A row of weight w has w times the information: the square of the root.
            of_rows = (x, y, ops.sqrt(weight))
            slope = backend.value_and_gradient(
                lambda z: log_posterior.log_likelihood_of(positions.constrain(z)[0], fixed, of_rows)
            )
            return ops.square(slope(z)[1])

        slope = backend.value_and_gradient(log_prior)

        def of_prior(sign: Any) -> Any:
            # Of a diagonal matrix it is the diagonal, of another one it is in the mean.
            turned = backend.value_and_gradient(lambda z: ops.sum(slope(z)[1] * sign))
            return sign * turned(z)[1]

        fisher = ops.mean(backend.map_draws(squared, drawn), axis=0)
        return fisher, -ops.mean(backend.map_draws(of_prior, signs), axis=0)

    fisher, prior = backend.compile_function(curvature)(z, fixed, batch, drawn, signs)
    fisher, prior = (ops.convert_to_numpy(v).astype("float64") for v in (fisher, prior))
    fisher = fisher / log_posterior.temperature  # the prior has it
    total = np.nan_to_num(fisher, posinf=0.0) * rows / most + np.nan_to_num(prior, posinf=0.0)
    scales = 1.0 / np.sqrt(np.maximum(total, _WIDEST**-2))

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


def _targets(structure: Any, y: Any, outputs: Any, seed: Any) -> Any:
    """Draws of the targets, with a leading axis; of outputs without likelihood the targets."""
    if isinstance(outputs, dict):
        return {k: _targets(structure[k], y[k], v, seed) for k, v in outputs.items()}
    if isinstance(outputs, (list, tuple)):
        parts = zip(structure, y, outputs, strict=True)
        return [_targets(*part, backend.fold_in(seed, k)) for k, part in enumerate(parts)]
    wanted = outputs if structure is not None else y
    many = ops.broadcast_to(wanted[None], (_TARGETS, *wanted.shape))
    return many if structure is None else structure.sample(many, seed)
