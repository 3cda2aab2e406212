"""The leading eigenpairs of the curvature, by products with vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.inference.laplace.laplace_rows import LaplaceRows
from keras_priors.inference.laplace.precision_low_rank import LowRankPrecision
from keras_priors.inference.laplace.sum_over_blocks import SumOverBlocks
from keras_priors.inference.log_posterior import LogPosterior

_OVERSAMPLING = 10
_ITERATIONS = 2


def low_rank(
    rows: LaplaceRows, log_posterior: LogPosterior, z: Any, prior: Any, rank: int, verbose: Any
) -> LowRankPrecision:
    """Randomized subspace iteration (Halko et al., 2011, algorithm 4.4), then Rayleigh-Ritz."""
    product = _products(rows, log_posterior, z, verbose)
    width = min(rank + _OVERSAMPLING, rows.size)
    basis = np.random.default_rng(0).standard_normal((rows.size, width))
    basis, _ = np.linalg.qr(basis)
    for _ in range(_ITERATIONS):
        basis, _ = np.linalg.qr(product(basis))
    small = basis.T @ product(basis)
    values, rotation = np.linalg.eigh(0.5 * (small + small.T))
    kept = slice(-min(rank, width), None)
    return LowRankPrecision(basis @ rotation[:, kept], np.maximum(values[kept], 0.0), prior)


def _products(rows: LaplaceRows, log_posterior: LogPosterior, z: Any, verbose: Any) -> Any:
    """H V for V (D, r), by J v forward and J^T back, never J itself."""
    part = rows.take(z)

    def f_of(part: Any, z: Any, fixed: Any, block: Any) -> Any:
        x, y, _ = block
        outputs = rows.outputs(rows.values_of(part, z), fixed, x)
        if rows.fisher:
            return rows.row_densities(outputs, y)[:, None]
        return rows.natural.forward(outputs)

    forward = backend.jacobian_vector_product(f_of)

    def of_block(vectors: Any, part: Any, z: Any, fixed: Any, block: Any) -> Any:
        weight = block[2]
        if rows.fisher:
            curvature = ops.reshape(weight, (-1, 1, 1))
        else:
            curvature = rows.curvature_of(rows.values_of(part, z), fixed, block)

        def one(v: Any) -> Any:
            up = forward(part, v, z, fixed, block)
            bent = ops.stop_gradient(ops.squeeze(curvature @ up[:, :, None], axis=-1))
            back = backend.value_and_gradient(
                lambda part: ops.sum(bent * f_of(part, z, fixed, block))
            )
            return back(part)[1]

        return backend.map_draws(one, vectors)

    # Each product is over all rows: those of a part would not be of one matrix.
    observations, size = log_posterior.observations, log_posterior._block
    total = SumOverBlocks(of_block, observations, size, verbose, partial=False)

    def product(basis: Any) -> Any:
        vectors = ops.convert_to_tensor(basis.T.astype("float32"))
        return total(vectors, part, z, rows.fixed()).T.astype("float64")

    return product
