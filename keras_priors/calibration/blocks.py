"""A function of outputs, applied to some rows at a time."""

from collections.abc import Callable
from typing import Any

import numpy as np

# Numbers that a block makes: 64 MiB of float64 for each array of them.
_NUMBERS = 8_000_000


def in_blocks(
    function: Callable[..., Any], outputs: Any, *others: Any, copies: int = 1, axis: int = 0
) -> Any:
    """`function(outputs[:, block], other[block], ...)`, joined along `axis`.

    Args:
        function: from arrays (S, n, ...) and (n, ...) to an array with the n rows on `axis`.
        outputs: array (S, N, ...).
        *others: arrays (N, ...).
        copies: how many times the size of `outputs` the function makes.
        axis: axis of the rows in the results.
    """
    size = max(1, _NUMBERS // max(1, copies * outputs[:, 0].size))
    parts = []
    for start in range(0, outputs.shape[1], size):
        rows = slice(start, start + size)
        parts.append(function(outputs[:, rows], *(each[rows] for each in others)))
    return np.concatenate(parts, axis=axis)
