"""A progress bar that appears on long work only."""

import time
from typing import Any

import keras

_PATIENCE = 2.0


class Progress:
    """Keras' bar over the calls of the compiled function.

    Args:
        target: integer or None, the number of calls, or the most there can be, where it is known:
            of None Keras writes "40/Unknown".
        verbose: "auto" shows the bar once two seconds have passed, 1 from the start, 0 never.
        unit: what is counted. Defaults to "call".
    """

    def __init__(self, target: int | None, verbose: Any, unit: str = "call") -> None:
        self._target = target
        self._unit = unit
        self._verbose = verbose
        self._begin = time.perf_counter()
        self._done = 0
        self._bar: Any = None

    def step(self, count: int = 1) -> None:
        """One more call is done, or several."""
        self._done += count
        if self._verbose == 0:
            return
        if self._bar is None:
            late = time.perf_counter() - self._begin > _PATIENCE and self._done != self._target
            if self._verbose == 1 or late:
                self._bar = keras.utils.Progbar(self._target, unit_name=self._unit)
        if self._bar is not None:
            self._bar.update(self._done)

    def close(self) -> None:
        """Ends the line of a bar that has not reached its target, or has none."""
        if self._bar is not None and (self._target is None or self._done < self._target):
            self._bar.update(self._done, finalize=True)


def check_verbose(verbose: Any) -> None:
    """Refuses everything but "auto", 0 and 1."""
    if verbose not in ("auto", 0, 1):
        raise ValueError(f'`verbose` must be "auto", 0 or 1. Received: verbose={verbose!r}.')
