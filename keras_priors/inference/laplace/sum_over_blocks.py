"""One pass over the rows, block by block."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.functional.observations import Observations
from keras_priors.inference.journal import current
from keras_priors.utils.progress import Progress
from keras_priors.utils.warn import warn


class SumOverBlocks:
    """The sum of a function over blocks of rows, each one call of one compiled program.

    Between calls the progress bar moves and Ctrl-C is heard: then the sum over the rows seen so
    far is scaled up to all rows, with a warning.

    Args:
        of_block: `(*arguments, (x, y, weight))` to tensors that add up over rows.
        observations: the rows.
        size: integer, rows of a block.
        verbose: "auto", 1 or 0. Defaults to 0.
        partial: bool. Whether a part of the rows can stand for all. Defaults to True.
    """

    def __init__(
        self,
        of_block: Callable[..., Any],
        observations: Observations,
        size: int,
        verbose: Any = 0,
        partial: bool = True,
    ) -> None:
        self._compiled = backend.compile_function(of_block)
        self._observations = observations
        self._size = size
        self._verbose, self._partial = verbose, partial

    def __call__(self, *arguments: Any) -> Any:
        """The sums, NumPy arrays."""
        observations = self._observations
        number = -(-observations.count // self._size)
        progress = Progress(number, self._verbose, unit="block of rows")
        total, seen = None, 0.0
        journal = current()
        try:
            for k in range(number):
                work = partial(self._added, arguments, k, total, seen)
                (total, seen), _ = journal.step("rows", work, (total, seen))
                progress.step()
            total, seen = journal.end("rows", (total, seen))
        except KeyboardInterrupt:
            journal.stop()
            if total is None or not self._partial or seen == 0.0:
                raise
            share = float(np.sum(observations.weight, dtype="float64")) / seen
            warn(
                f"The pass over the rows was interrupted in block {k + 1} of {number}. The "
                f"curvature is that of the rows before it, times {share:.3g}.",
            )
            total = keras.tree.map_structure(lambda leaf: (leaf * share).astype(leaf.dtype), total)
        return total

    def _added(self, arguments: Any, k: int, total: Any, seen: float) -> tuple[Any, Any]:
        block = self._observations.block(k, self._size)
        part = keras.tree.map_structure(ops.convert_to_numpy, self._compiled(*arguments, block))
        # Numbers in float64, matrices as they are.
        part = keras.tree.map_structure(
            lambda leaf: leaf if leaf.ndim else leaf.astype("float64"), part
        )
        if total is None:  # a copy: what a backend gives may be read-only
            total = keras.tree.map_structure(np.array, part)
        else:
            total = keras.tree.map_structure(np.add, total, part)
        weight = float(np.sum(ops.convert_to_numpy(block[2]), dtype="float64"))
        return (total, seen + weight), ()
