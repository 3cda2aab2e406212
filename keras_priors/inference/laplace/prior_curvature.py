"""The curvature of the log prior."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.functional.joint_priors import JointPrior
from keras_priors.inference.laplace.laplace_rows import LaplaceRows


def prior_precision(rows: LaplaceRows, z: Any, structure: str, temperature: float = 1.0) -> Any:
    """-d2 (log p(w) / T + log|dw/dz|) / dz2 of the weights that move: NumPy (D,), or (D, D).

    A matrix only where a prior is no product over elements, which takes the full structure. Of a
    prior over several weights the diagonal structure has the diagonal.
    """
    positions = rows.positions
    joint = positions.joint_among(rows.moved)
    _check_structure(joint, structure)
    joined = {k for each in joint for k in each.indices}
    alone = [k for k in rows.moved if k not in joined]
    priors = [(k, prior) for k in alone if (prior := positions.priors[k]) is not None]
    dependent = [positions.paths[k] for k, prior in priors if not prior.factorized]
    if dependent and structure != "full":
        raise ValueError(
            "A prior that ties the elements of a weight together has a curvature that only "
            f'Laplace("full") holds. Received: structure={structure!r} with such priors on '
            f'{dependent}. Use Laplace("full"), or priors over each element.'
        )

    def log_prior(part: Any, z: Any) -> Any:
        # Points have a prior that is a constant here.
        whole = rows.put(z, part)
        density = positions.log_prior(whole, indices=alone) + 0.0 * ops.sum(part)
        if temperature == 1.0:
            return density
        bare = positions.log_prior(whole, jacobian=False, indices=alone)
        return density + (1.0 / temperature - 1.0) * bare

    gradient = backend.value_and_gradient(log_prior)

    def diagonal(part: Any, z: Any) -> Any:
        # The Hessian is diagonal, so that its rows sum to its diagonal.
        return backend.value_and_gradient(lambda part: ops.sum(gradient(part, z)[1]))(part)[1]

    part = rows.take(z)
    function = backend.hessian(log_prior) if dependent else diagonal
    compiled = rows.once("prior", lambda: backend.compile_function(function))
    found = ops.convert_to_numpy(compiled(part, z))
    if not np.all(np.isfinite(found)):
        raise ValueError(
            "The log prior must have a second derivative at the mode. Received: one that is not "
            "finite. Weights that are exactly 0 under a prior with a peak there have none: use "
            "another prior, such as NormalPrior."
        )
    return _with_joint(-found.astype("float64"), rows, joint, structure, temperature)


def _check_structure(joint: list[JointPrior], structure: str) -> None:
    """Refuses structures that a sum with the precision of a joint prior has not."""
    if joint and structure in ("kronecker", "low_rank"):
        raise ValueError(
            'The curvature of a JointNormalPrior is added as it is by Laplace("full"), and by its '
            f'diagonal by Laplace("diagonal"): the sum has no structure {structure!r}. Received: '
            f"one over {', '.join(path for each in joint for path in each.block.paths)}. Take one "
            'of the two, or `posterior.as_prior("diagonal")`, which every structure takes.'
        )


def _with_joint(
    found: Any, rows: LaplaceRows, joint: list[JointPrior], structure: str, temperature: float
) -> Any:
    """The curvature with that of the priors over several weights, exact and in float64."""
    if not joint:
        return found
    positions, full = rows.positions, structure == "full"
    ends = np.cumsum([positions.sizes[k] for k in rows.moved])
    places = {
        k: np.arange(end - positions.sizes[k], end) for k, end in zip(rows.moved, ends, strict=True)
    }
    found = np.diag(found) if full and found.ndim == 1 else found.copy()
    for each in joint:
        at = np.concatenate([places[k] for k in each.indices])
        if full:
            found[np.ix_(at, at)] += each.block.precision() / temperature
        else:
            found[at] += each.block.precision_diagonal() / temperature
    return found


class NormalPriors:
    """What the evidence needs of the independent normal priors: their log density at any scale.

    Args:
        rows: the weights that move.
        values: all weights at the mode, NumPy arrays in order.
    """

    def __init__(self, rows: LaplaceRows, values: Any) -> None:
        self.entries: dict[str, tuple[slice, float, float, float]] = {}
        """By path: where in the vector (D,), the sum of squared residuals, how many, log p."""
        start = 0
        for k in rows.moved:
            prior, size = rows.positions.priors[k], rows.positions.sizes[k]
            where = slice(start, start + size)
            start += size
            shape = rows.positions.shapes[k]
            normal = None if prior is None else prior.as_normal(shape)
            if normal is None:
                continue
            loc, scale = (np.asarray(ops.convert_to_numpy(part), "float64") for part in normal)
            residual = np.broadcast_to(np.asarray(values[k], "float64") - loc, shape)
            scale = np.broadcast_to(scale, shape)
            self.entries[rows.positions.paths[k]] = (
                where,
                float(np.sum(residual**2)),
                float(size),
                float(np.sum(log_normal(residual**2, 1.0, scale))),
            )


def log_normal(squares: Any, count: Any, scale: Any) -> Any:
    """log density in nats of `count` normals of one scale whose squared residuals have this sum."""
    return -0.5 * squares / scale**2 - count * (np.log(scale) + 0.5 * np.log(2.0 * np.pi))
