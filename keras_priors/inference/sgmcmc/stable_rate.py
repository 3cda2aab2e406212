"""The learning rates at which SGD stays near where it starts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.inference.log_posterior import LogPosterior

# Rows in which the curvature is measured, and products with it.
_ROWS, _ITERATIONS = 1024, 20


def largest_curvature(log_posterior: LogPosterior, z: Any, batch_size: int) -> float:
    """Largest |eigenvalue| of the Hessian of the mean loss -log p(z | x, y) / N at z (D,).

    By power iterations, from below: within some percent in up to 1024 rows. NaN where the loss has
    no finite curvature.
    """
    count = log_posterior.num_rows
    most = min(count, max(batch_size, min(_ROWS, log_posterior._block)))
    rows = np.sort(np.random.default_rng(0).permutation(count)[:most])
    scale = ops.convert_to_tensor(count / most, dtype="float32")

    def run(z: Any, vector: Any, fixed: Any, batch: Any) -> Any:
        slope = backend.value_and_gradient(
            lambda z: -log_posterior.batch_log_prob(z, fixed, batch, scale) / count
        )

        def product(v: Any) -> Any:
            return backend.value_and_gradient(lambda z: ops.sum(slope(z)[1] * v))(z)[1]

        def step(state: Any, _: Any) -> Any:
            v, _ = state
            up = product(v)
            size = ops.sqrt(ops.sum(up * up))
            return up / ops.maximum(size, 1e-30), size

        state = (vector, ops.zeros((), dtype="float32"))
        return backend.fold(step, state, ops.zeros((_ITERATIONS,), dtype="float32"))[1]

    start = np.random.default_rng(0).standard_normal(log_posterior.size)
    vector = ops.convert_to_tensor((start / np.linalg.norm(start)).astype("float32"))
    fixed, _ = log_posterior.data
    batch = log_posterior.observations.batch(rows)
    return float(backend.compile_function(run)(z, vector, fixed, batch))


def largest_stable(curvature: float, momentum: float) -> float:
    """2 (1 + momentum) / curvature: above it SGD with heavy-ball momentum leaves a quadratic."""
    return 2 * (1 + momentum) / curvature if curvature > 0 else math.inf
