"""The scale of a sampler, learned from draws and the gradients at them."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_priors.inference.mcmc.scales import slope_by_z, to_q

# What the old scale weighs beside as many draws as there are weights.
_PRIOR = 0.1
# Of low rank: a variance from 1 / 2 to 2 is taken for the noise of few draws.
_NEAR = 2.0
# Of low rank, in more dimensions than twice this: the draws whose directions are looked at.
_SPANNING = 200


def learned_scale(draws: Any, slopes: Any, scale: tuple[Any, ...]) -> tuple[Any, ...]:
    """The scale F, of the kind of `scale`, for which the Fisher divergence is least.

        E | grad_q log p(q) + q |^2,  z = F q + b,  over the draws of a window

    That is F F^T = A # B^-1, the geometric mean of the covariance A of draws and the inverse of
    the covariance B of their gradients; on the diagonal s^2 = sqrt(var z / var g). Of a normal
    density it is the covariance, from few draws and wherever these are. Low rank is the diagonal,
    and what it leaves of A # B^-1 in the directions that are farthest from 1.

    Covariances are those within chains, so that chains in modes of their own tell how wide a mode
    is. Few draws are helped by the old scale, and draws that do not move leave it.

    Args:
        draws: array (draws, chains, D) of z.
        slopes: array (draws, chains, D), gradients of log p by q.
        scale: the scale with which the draws were made.

    References:
        - Seyboldt, Carlson and Carpenter, 2026, Preconditioning Hamiltonian Monte Carlo by
          minimizing Fisher divergence, arXiv:2603.18845.
    """
    z, slope = _within_chains(draws), _within_chains(slopes)
    first = scale[0].astype("float64")
    if len(scale) > 1:
        return _of_low_rank(z, slope_by_z(slope, scale), rank=len(scale[2]))
    # In the old q, where A and B are near 1 once a window has gone before.
    q = to_q(z, scale)
    widths = _widths(q, slope)
    if first.ndim == 1:
        return (_float32(first * widths),)
    q, slope = q / widths, slope * widths
    turn = _mean_factor(q, slope) if _holds(q, slope) else np.eye(len(widths))
    return (_float32(first * widths @ turn),)


def _of_low_rank(z: Any, slope: Any, rank: int) -> tuple[Any, ...]:
    widths = _widths(z, slope)
    q, slope = z / widths, slope * widths
    basis = np.eye(q.shape[1])
    picked = np.unique(np.linspace(0, len(q) - 1, min(len(q), _SPANNING)).astype(int))
    if 2 * len(picked) < q.shape[1]:
        basis = np.linalg.qr(np.concatenate([q[picked], slope[picked]]).T)[0]
    q, slope = q @ basis, slope @ basis
    vectors, roots, _ = np.linalg.svd(_mean_factor(q, slope))
    if not _holds(q, slope):
        roots = np.ones_like(roots)
    far = 2 * np.abs(np.log(roots))
    order = np.argsort(-far)[:rank]
    order = order[far[order] > np.log(_NEAR)]
    # Of one shape whatever is found: the program is compiled once.
    directions, stretch = np.zeros((len(widths), rank)), np.zeros(rank)
    directions[:, : len(order)] = basis @ vectors[:, order]
    stretch[: len(order)] = roots[order] - 1
    return _float32(widths), _float32(directions), _float32(stretch)


def _within_chains(values: Any) -> Any:
    """(draws, chains, D) to (draws * chains, D), each chain less its mean."""
    values = np.asarray(values, "float64")
    return (values - values.mean(axis=0)).reshape(-1, values.shape[-1])


def _widths(q: Any, slope: Any) -> Any:
    """(var q / var g)^(1/4); 1 where nothing moved."""
    a, b = np.mean(q**2, axis=0), np.mean(slope**2, axis=0)
    moved = (a > 0) & (b > 0)
    return np.divide(a, b, out=np.ones_like(a), where=moved) ** 0.25


def _mean_factor(q: Any, slope: Any) -> Any:
    """F with F F^T = A # B^-1."""
    number, size = q.shape
    # Of the same in both: towards no change, and little of it once draws are many.
    floor = min(1.0, _PRIOR * (size / number) ** 2) * np.eye(size)
    a, b = q.T @ q / number + floor, slope.T @ slope / number + floor
    # L^-T (L^T A L)^(1/2) L^-1, with B = L L^T.
    lower = np.linalg.cholesky(b)
    values, vectors = np.linalg.eigh(lower.T @ a @ lower)
    return np.linalg.solve(lower.T, vectors * np.maximum(values, 0.0) ** 0.25)


def _holds(q: Any, slope: Any) -> bool:
    """Whether what the first half of a window says of correlations helps in the second.

    By E | F^T g |^2 + E | F^-1 q |^2, all of the Fisher divergence that depends on F. It does not
    where chains are still on their way, and where each sees another part of what is no normal.
    """
    half = len(q) // 2
    if half < 2:
        return False
    factor = _mean_factor(q[:half], slope[:half])
    q, slope = q[half:], slope[half:]
    found = np.sum((slope @ factor) ** 2) + np.sum(np.linalg.solve(factor, q.T) ** 2)
    return bool(found < np.sum(slope**2) + np.sum(q**2))


def _float32(values: Any) -> Any:
    return np.asarray(values, "float32")
