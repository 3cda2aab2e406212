"""A function of draws, applied to blocks of rows."""

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_priors.utils.export import share

# Elements of a block: 32 MiB in float64, a few times that with what is computed from it.
_ELEMENTS = 4_000_000


@share
def by_rows(
    function: Callable[..., Any], draws: Any, *others: Any, copies: int = 1, axis: int = 0
) -> Any:
    """`function(draws[:, block], other[block], ...)` for all blocks of rows, joined along `axis`.

    Args:
        function: from arrays (S, n, ...) and (n, ...) to an array with the n rows on `axis`.
        draws: array (S, N, ...).
        *others: arrays (N, ...).
        copies: how many times the size of `draws` the function makes.
        axis: axis of the rows in the results.
    """
    rows = draws.shape[1]
    per_row = copies * draws[:, 0].size
    size = max(1, _ELEMENTS // max(per_row, 1))
    parts = [
        function(draws[:, start : start + size], *(y[start : start + size] for y in others))
        for start in range(0, rows, size)
    ]
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=axis)
