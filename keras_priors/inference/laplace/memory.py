"""Bytes that a Laplace approximation holds at its highest point, known before any is taken."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_priors.functional.positions import Positions
from keras_priors.inference.laplace.curvature import entries_of
from keras_priors.inference.laplace.last_layer import last_layer_weights

# Jacobians, patches and activations of a block of rows.
_BLOCK = 256 * 2**20


def memory_of(model: Any, structure: str, layers: str, rank: int) -> int:
    """Bytes."""
    positions = Positions(model)
    if layers == "last":
        moved = last_layer_weights(model, positions)
    else:
        moved = list(range(len(positions.paths)))
    size = sum(positions.sizes[k] for k in moved)
    if structure == "full":
        return _BLOCK + 20 * size**2  # H and a block's share in float32, its Cholesky in float64
    if structure == "diagonal":
        return _BLOCK + 40 * size
    if structure == "low_rank":
        return _BLOCK + 40 * size * (rank + 10)
    if layers == "last":
        shape = positions.shapes[moved[0]]
        factors = (shape[0] + 1) ** 2 + shape[1] ** 2
    else:
        entries, _ = entries_of(positions)
        factors = sum(e.rows**2 + e.units**2 for e in entries)
    return _BLOCK + 28 * factors + 40 * size


def check_memory(model: Any, structure: str, layers: str, rank: int, limit: int) -> None:
    """Refuse what is larger than the limit, and name what is not."""
    needed = memory_of(model, structure, layers, rank)
    if needed <= limit:
        return
    fits = []
    for other in ("full", "kronecker", "low_rank", "diagonal"):
        for where in ("all", "last"):
            try:
                bytes_ = memory_of(model, other, where, rank)
            except ValueError:  # it has no last Dense layer
                continue
            if bytes_ <= limit:
                fits.append(f'Laplace("{other}", layers="{where}") with {_shown(bytes_)}')
    raise ValueError(
        f"A Laplace approximation must fit in `memory_limit`, {_shown(limit)}. Received: "
        f'structure="{structure}", layers="{layers}" for {model.name}, which takes about '
        f"{_shown(needed)}. What fits: {', '.join(fits) or 'none'}. Or raise `memory_limit`."
    )


def _shown(bytes_: int) -> str:
    return f"{bytes_ / 2**30:.3g} GiB" if bytes_ >= 2**27 else f"{np.ceil(bytes_ / 2**20):.0f} MiB"
