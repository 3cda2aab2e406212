"""Predictives of the linearized network."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.functional.results import Results
from keras_priors.functional.row_blocks import bucket, whole_parts
from keras_priors.functional.rows import Rows
from keras_priors.inference.laplace.laplace_rows import LaplaceRows
from keras_priors.utils.progress import Progress

# A Jacobian of one row that is larger is never made: draws of weights go forward through it.
_BYTES = 64 * 2**20


def glm(
    posterior: Any,
    x: Any,
    num_samples: int,
    batch_size: int | None,
    seed: Any,
    verbose: Any,
    out: Any = None,
) -> Any:
    """Draws of f ~ Normal(f*, J P^-1 J^T) in each row."""
    given, rows = Rows(x, posterior.model), posterior._rows
    noise: Any = None
    with Results(num_samples, given.count, out) as results:
        for chunk in _linearized(posterior, given, num_samples, batch_size, seed, verbose):
            if chunk.moves is not None:
                draws = chunk.f + chunk.moves
            else:
                values, vectors = np.linalg.eigh(chunk.covariance)
                root = vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]
                if noise is None:  # the same in all rows
                    noise = _noise(num_samples, chunk.f.shape[1], backend.spawn_seeds(seed, 1)[0])
                draws = chunk.f + np.einsum("nkj,sj->snk", root, noise)
            results.write(rows.natural.outputs(draws, rows.shape), 0, len(chunk.f))
            results.next_chunk(len(chunk.f))
        return rows.natural.predictive(results.outputs())


def probit(posterior: Any, x: Any, batch_size: int | None, verbose: Any) -> Any:
    """One draw: f / sqrt(1 + pi var / 8), whose probabilities are those of the extended probit."""
    rows = posterior._rows
    if not rows.natural.is_classes:
        raise ValueError(
            "The probit approximation is for classes: the likelihoods Categorical and Bernoulli. "
            f'Received: {posterior.likelihood!r}. Use method="glm", which is exact for a Normal.'
        )
    found = []
    for chunk in _linearized(posterior, Rows(x, posterior.model), 100, batch_size, 0, verbose):
        if chunk.moves is None:
            variance = np.diagonal(chunk.covariance, axis1=1, axis2=2)
        else:
            variance = chunk.moves.var(axis=0)
        found.append(chunk.f / np.sqrt(1.0 + math.pi / 8.0 * variance))
    return rows.natural.predictive(rows.natural.outputs(np.concatenate(found)[None], rows.shape))


class _Linearized(NamedTuple):
    """The linearized network in a chunk of rows."""

    f: Any
    """At the mode, (n, K)."""
    covariance: Any
    """J P^-1 J^T, (n, K, K), or None where J is too large."""
    moves: Any
    """There, J v at draws v of the weights, (S, n, K)."""


def _linearized(
    posterior: Any, given: Rows, num_samples: int, batch_size: int | None, seed: Any, verbose: Any
) -> Iterator[_Linearized]:
    backend.sync_variables(posterior.model)
    rows: LaplaceRows = posterior._rows
    rows.measure(keras.tree.map_structure(lambda leaf: leaf[:1], given.first))
    mode = ops.convert_to_tensor(posterior._mode)
    part, fixed = rows.take(mode), rows.fixed()
    by_draws = 4 * rows.size * rows.outputs_per_row > _BYTES
    size = batch_size or bucket(rows.block_rows(given.count or 4096, 1 if by_draws else 6))
    if by_draws:
        size = batch_size or min(bucket(given.count or 4096), 256)
        deviations = [posterior._deviation(h) for h in posterior._handles(num_samples, seed)]
    size = whole_parts(size)
    number = None if given.count is None else -(-given.count // size)
    progress = Progress(number, verbose, unit="chunk of rows")
    for chunk, valid in given.chunks(size):
        tensors = backend.place_batch(chunk)
        compiled = posterior._compiled(by_draws, keras.tree.flatten(tensors)[0].shape[0])
        if by_draws:
            moves = []
            for deviation in deviations:
                v = ops.convert_to_tensor(deviation.astype("float32"))
                f, move = compiled(part, v, mode, fixed, tensors)
                moves.append(ops.convert_to_numpy(move)[:valid])
            spread: Any = np.stack(moves).astype("float64")
        else:
            f, jacobian = compiled(part, mode, fixed, tensors)
            jacobian = ops.convert_to_numpy(jacobian)[:valid].astype("float64")
            spread = posterior._precision.covariance_of(jacobian)
        f = ops.convert_to_numpy(f)[:valid].astype("float64")
        yield _Linearized(f, None if by_draws else spread, spread if by_draws else None)
        progress.step()
    progress.close()


def forward_of(rows: LaplaceRows) -> Any:
    """(part, v, z, fixed, x) to (f, J v)."""

    def outputs(part: Any, z: Any, fixed: Any, x: Any) -> Any:
        return rows.natural.forward(rows.outputs(rows.values_of(part, z), fixed, x))

    forward = backend.jacobian_vector_product(outputs)

    def both(part: Any, v: Any, z: Any, fixed: Any, x: Any) -> tuple[Any, Any]:
        return outputs(part, z, fixed, x), forward(part, v, z, fixed, x)

    return both


def _noise(count: int, width: int, seed: Any) -> Any:
    """Normals (S, K) of mean 0 and covariance 1, exactly where S > K: moments are then exact."""
    generator = np.random.default_rng([int(word) for word in seed])
    if width <= 8:
        from scipy import stats  # Not at `import keras_priors`: it takes long.

        uniform = stats.qmc.Halton(width, seed=generator).random(count)
        noise = stats.norm.ppf(np.clip(uniform, 1e-9, 1 - 1e-9))
    else:
        noise = generator.standard_normal((count, width))
    if count <= width + 1:
        return noise
    noise = noise - noise.mean(axis=0)
    root = np.linalg.cholesky(noise.T @ noise / count)
    return np.linalg.solve(root, noise.T).T
