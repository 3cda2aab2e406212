"""Where the chains of a sampler begin."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.inference.log_posterior import LogPosterior
from keras_priors.inference.maximize import maximize, not_finite
from keras_priors.models.sample_prior import sample_prior

STARTS = ("map", "prior", "current")
_ITERATIONS, _TOLERANCE, _HALVINGS = 500, 1e-5, 40


def starts(
    log_posterior: LogPosterior, start: str, num_chains: int, seed: Any
) -> tuple[Any, Any, Any]:
    """(z (C, D), log density (C,), gradient (C, D)) as NumPy arrays, all of them finite.

    Args:
        log_posterior: the log posterior.
        start: one of `STARTS`.
        num_chains: integer C.
        seed: array of two words.
    """
    compiled = backend.compile_function(backend.vectorize(log_posterior.log_prob_and_gradient))

    def evaluate(z: Any) -> tuple[Any, Any]:
        found = compiled(ops.convert_to_tensor(z, dtype="float32"), log_posterior.data)
        value, slope = (ops.convert_to_numpy(part) for part in found)
        return value, slope

    if start == "prior":
        z = _from_prior(log_posterior, num_chains, seed)
    else:
        center = log_posterior.positions.unconstrain(log_posterior.positions.current())
        if start == "map":
            center = maximize(log_posterior, center, _ITERATIONS, _TOLERANCE, jacobian=True)[0]
        z = _around(ops.convert_to_numpy(center), evaluate, num_chains, seed, log_posterior)
    value, slope = evaluate(z)
    bad = ~(np.isfinite(value) & np.all(np.isfinite(slope), axis=1))
    if bad.any():
        raise ValueError(not_finite(float(value[np.argmax(bad)]), log_posterior))
    return z, value, slope


def _from_prior(log_posterior: LogPosterior, num_chains: int, seed: Any) -> Any:
    positions = log_posterior.positions
    drawn = sample_prior(log_posterior.model, num_chains, ops.convert_to_tensor(seed, "uint32"))
    rows = [
        positions.unconstrain(
            positions.with_scales(
                [drawn[path][chain] for path in positions.paths[: positions.shown]]
            )
        )
        for chain in range(num_chains)
    ]
    return np.stack([ops.convert_to_numpy(row) for row in rows])


def _around(
    center: Any, evaluate: Any, num_chains: int, seed: Any, log_posterior: LogPosterior
) -> Any:
    # No scale of the posterior is known yet: each chain goes a random way from the centre, and
    # comes back by halves until it has lost no more than a draw of the posterior would.
    repeated = np.repeat(center[None], num_chains, axis=0)
    top = evaluate(repeated)[0]
    if not np.isfinite(top).all():
        raise ValueError(not_finite(float(top[0]), log_posterior))
    way = np.random.default_rng(np.asarray(seed)).standard_normal(repeated.shape)
    size = np.ones((num_chains, 1))
    for _ in range(_HALVINGS):
        z = (center + size * way).astype("float32")
        value, slope = evaluate(z)
        loss = center.size / 2 + 3 * np.sqrt(center.size)
        near = (value > top - loss) & np.all(np.isfinite(slope), axis=1)
        if near.all():
            return z
        size = np.where(near[:, None], size, size / 2)
    return z
