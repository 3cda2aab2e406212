"""What a Laplace approximation says of weights whose prior has an unknown scale."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from keras_priors.functional.positions import Positions
from keras_priors.inference.laplace.laplace_rows import LaplaceRows
from keras_priors.utils.warn import warn

# Of z, which is N(0, 1) before the data, the least mean square without a warning.
_LEAST = 0.5


def check_structure(rows: LaplaceRows, structure: str, layers: str) -> None:
    """Refuses structures that are of the weights themselves, where some are scaled z."""
    positions = rows.positions
    paths = [positions.paths[k] for k in rows.moved if positions.is_scaled(k)]
    if paths and (structure == "kronecker" or layers == "last"):
        raise ValueError(
            "Weights whose prior has an unknown scale are approximated together with it, as "
            '(w - loc) / scale, for which there are Laplace("full"), Laplace("low_rank") and '
            f'Laplace("diagonal"), with layers="all". Received: structure={structure!r}, '
            f"layers={layers!r} and {', '.join(paths)}. Take one of them, or give a "
            "number as scale and tune it: `Laplace().fit(...).tune()`."
        )


def warn_of_scales(positions: Positions, z: Any, variance: Any) -> None:
    """Warns where weights are far smaller than the scale that they have at their common mode.

    The density of weights and scale together does not see that a scale of n weights which are well
    known is as well known: it is highest where the scale is about sqrt(n) times their size.

    Args:
        positions: the weights.
        z: array (D,), their vector at the mode.
        variance: array (D,), of it.
    """
    square = np.asarray(z, "float64") ** 2 + variance
    starts = np.cumsum([0, *positions.sizes])
    values = positions.constrain(ops.convert_to_tensor(z))[0]
    for scaled in positions.scaled:
        size = float(np.mean(square[starts[scaled.weight] : starts[scaled.weight + 1]]))
        if size < _LEAST:
            scales = ops.convert_to_numpy(values[scaled.scale])
            warn(
                "The mode of weights and the scale of their prior together is no estimate of the "
                "scale: it is up to sqrt(n) too large for n weights that the data tell. Received: "
                f"{positions.paths[scaled.weight]} with the scale {np.mean(scales):.3g} there, and "
                f"weights of {np.sqrt(size):.2g} times that. Use NUTS, SGHMC or FullRank; or give "
                "a number, and tune it by the evidence: `Laplace().fit(...).tune()`.",
            )
