"""How many rows and how many draws one call of the compiled function takes."""

import math
from typing import Any

import keras
import numpy as np

from keras_priors import backend
from keras_priors.utils.export import share

# Activations and outputs of one call stay within it.
_BYTES = 256 * 2**20
# More rows than these make the noise of a draw no cheaper: it is then 1 to 3% of the products.
_MAX_ROWS = 16_384
# Products of one call: about a second on a CPU, so that the progress bar moves.
_PRODUCTS = 5e10


@share
def chunk_rows(
    model: Any,
    first: Any,
    count: int | None,
    batch_size: int | None,
    *,
    bucketed: bool = True,
) -> int:
    """Rows in a chunk: as many as memory bears, and as few padded ones as possible.

    Args:
        model: the model.
        first: structure of arrays, some rows.
        count: number of all rows, or None where it is unknown.
        batch_size: what the user asked for, or None.
        bucketed: whether the size is one of those of `bucket`, as predictions are, which are asked
            for again and again with other numbers of rows. Defaults to True.
    """
    widths = sum(v.shape[-1] for v in model.variables if len(v.shape) > 1)
    inputs = sum(leaf[:1].nbytes for leaf in keras.tree.flatten(first))
    # Every weight matrix leaves one value for each of its columns at each position.
    per_row = inputs + 4 * _positions(first) * widths
    most = batch_size or int(np.clip(_BYTES // max(per_row, 1), 1, _MAX_ROWS))
    if not bucketed:
        return most if count is None else _even(count, most)
    # Of a chunk each device has its part, and the same memory for it.
    most = whole_parts(batch_size or most * backend.batch_devices())
    return most if count is None else min(bucket(_even(count, most)), most)


def _even(count: int, most: int) -> int:
    """The size of chunks of at most `most` rows that are as few and as equal as possible."""
    return math.ceil(count / math.ceil(count / most))


@share
def whole_parts(size: int) -> int:
    """The least number of rows at or above `size` of which each device has as many."""
    devices = backend.batch_devices()
    return -(-size // devices) * devices


@share
def bucket(count: int) -> int:
    """The least size at or above `count` that a program is compiled for.

    Powers of two up to 64, eighths of a power of two above: at most 71 programs for up to 16,384
    rows, which is what a server with batches of any size keeps. From 64 rows on at most an eighth
    of the work is on padding; below, a call costs about the same for each size. Where nothing is
    compiled, `count` itself. Where devices share the rows, a multiple of their number.
    """
    if not backend.is_traced():
        return count
    step = 2 ** max(0, math.ceil(math.log2(count)) - 4) if count > 64 else 0
    return whole_parts(-(-count // step) * step if step else 2 ** math.ceil(math.log2(count)))


@share
def draws_per_call(model: Any, first: Any, rows: int, num_draws: int) -> int:
    """Draws in a call: about a second of work, and as few unused ones as possible."""
    weights = sum(math.prod(v.shape) for v in model.variables)
    products = max(rows * weights * _positions(first), 1)
    # Weights of all draws of a call, and no output is wider than the widest layer.
    widest = max((v.shape[-1] for v in model.variables if len(v.shape) > 1), default=1)
    held = 4 * (weights + rows * _positions(first) * widest)
    most = int(np.clip(min(_PRODUCTS // products, _BYTES // held), 1, num_draws))
    if most == num_draws:
        return most
    return min(range(max(1, most // 2), most + 1)[::-1], key=lambda size: -num_draws % size)


def _positions(first: Any) -> int:
    """At how many places of a row the weights are used: pixels, time steps, tokens."""
    places = 1
    for leaf in keras.tree.flatten(first):
        tokens = not np.issubdtype(leaf.dtype, np.floating)
        places = max(places, math.prod(leaf.shape[1:] if tokens else leaf.shape[1:-1]))
    return places
