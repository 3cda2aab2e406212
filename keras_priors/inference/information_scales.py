"""The standard deviations that the curvature of a log posterior gives to single weights."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.inference.log_posterior import LogPosterior
from keras_priors.utils.export import share

# Draws of the targets, and signs for the prior, by which the curvature is measured.
_TARGETS, _SIGNS = 32, 8
# None is wider, in units of z: a flat prior on what no row sees has no curvature.
_WIDEST = 1.0


@share
def information_scales(
    log_posterior: LogPosterior, z: Any, batch: Any, target_seed: Any, sign_seed: Any
) -> Any:
    """Standard deviations (D,), NumPy float64, of each weight given the others, at z (D,).

        s_i = (F_ii + P_ii)^-1/2,    F_ii = E[(d/dz_i log p(y | x, w))^2]

    with P_ii = -d2 log p(z) / dz_i^2. F is the Fisher information: the mean is over 32 draws of
    all targets from the likelihood at the model's outputs, whose gradients are independent from
    row to row, so that it takes no gradient of a single row. At most 1.

    Args:
        log_posterior: the log posterior.
        z: tensor (D,).
        batch: rows (x, y, weight) that stand for all.
        target_seed: seed of the draws.
        sign_seed: seed of the signs by which the curvature of the prior is measured.
    """
    positions = log_posterior.positions
    fixed = log_posterior.outputs.fixed()
    outputs = backend.compile_function(log_posterior.outputs)(
        positions.constrain(z)[0], fixed, batch[0]
    )
    drawn = _targets(log_posterior.likelihoods.structure, batch[1], outputs, target_seed)
    signs = backend.random_signs((_SIGNS, log_posterior.size), sign_seed)

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
    total = np.nan_to_num(fisher, posinf=0.0) * log_posterior.num_rows / len(
        batch[2]
    ) + np.nan_to_num(prior, posinf=0.0)
    return 1.0 / np.sqrt(np.maximum(total, _WIDEST**-2))


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
