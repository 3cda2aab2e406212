"""Curvature of the log likelihood, summed over the rows: dense, diagonal."""

from __future__ import annotations

from typing import Any

from keras import ops

from keras_priors import backend
from keras_priors.inference.laplace.laplace_rows import LaplaceRows
from keras_priors.inference.laplace.precision import Precision
from keras_priors.inference.laplace.precision_diagonal import DiagonalPrecision
from keras_priors.inference.laplace.precision_full import FullPrecision
from keras_priors.inference.laplace.sum_over_blocks import SumOverBlocks
from keras_priors.inference.log_posterior import LogPosterior


def full(
    rows: LaplaceRows, log_posterior: LogPosterior, z: Any, prior: Any, verbose: Any
) -> Precision:
    """H = sum_i J_i^T H_i J_i, dense."""

    def of_block(part: Any, z: Any, fixed: Any, block: Any) -> Any:
        jacobian, curvature = rows.of_block(part, z, fixed, block)
        left = ops.reshape(jacobian, (-1, rows.size))
        return ops.transpose(left) @ ops.reshape(curvature @ jacobian, (-1, rows.size))

    return FullPrecision(_summed(of_block, rows, log_posterior, z, verbose), prior)


def diagonal(
    rows: LaplaceRows, log_posterior: LogPosterior, z: Any, prior: Any, verbose: Any
) -> Precision:
    """The diagonal of H alone."""
    return DiagonalPrecision(diagonal_sum(rows, log_posterior, z, verbose), prior)


def diagonal_sum(rows: LaplaceRows, log_posterior: LogPosterior, z: Any, verbose: Any) -> Any:
    """diag sum_i J_i^T H_i J_i, NumPy (D,)."""

    def of_block(part: Any, z: Any, fixed: Any, block: Any) -> Any:
        jacobian, curvature = rows.of_block(part, z, fixed, block)
        return ops.sum(jacobian * (curvature @ jacobian), axis=(0, 1))

    return _summed(of_block, rows, log_posterior, z, verbose)


def hessian(rows: LaplaceRows, log_posterior: LogPosterior, z: Any, verbose: Any) -> Any:
    """-d2 log p(y | x, w) / dz2, NumPy (D, D): all of the curvature, that of the net included."""

    def loss(part: Any, z: Any, fixed: Any, block: Any) -> Any:
        return -log_posterior.log_likelihood_of(rows.values_of(part, z), fixed, block)

    return _summed(backend.hessian(loss), rows, log_posterior, z, verbose)


def _summed(
    of_block: Any, rows: LaplaceRows, log_posterior: LogPosterior, z: Any, verbose: Any
) -> Any:
    observations = log_posterior.observations
    size = rows.block_rows(observations.count)
    return SumOverBlocks(of_block, observations, size, verbose)(rows.take(z), z, rows.fixed())
