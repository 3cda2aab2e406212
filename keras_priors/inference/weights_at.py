"""Weights at many points of the vector z."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.functional.positions import Positions


def weights_at(positions: Positions, z: Any) -> list[Any]:
    """Weights inside their supports, NumPy (chains, draws, ...), of z (chains, draws, D).

    Without the scales of single elements, which a model does not show.
    """
    flat = z.reshape(-1, z.shape[-1])
    if positions.bounded:
        constrain = backend.compile_function(
            backend.vectorize(lambda each: positions.constrain(each)[0][: positions.shown])
        )
        parts = [ops.convert_to_numpy(v) for v in constrain(ops.convert_to_tensor(flat))]
    else:
        ends = np.cumsum(positions.sizes)
        parts = [flat[:, end - size : end] for end, size in zip(ends, positions.sizes, strict=True)]
    return [
        part.reshape(*z.shape[:2], *shape)
        for part, shape in zip(parts, positions.shapes[: positions.shown], strict=True)
    ]
