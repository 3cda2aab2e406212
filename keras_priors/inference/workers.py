"""Work in the processes of an executor, the same as here."""

from __future__ import annotations

import os
import pickle
import threading
import traceback
import warnings
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any
from uuid import uuid4

import keras

from keras_priors.utils.export import share
from keras_priors.utils.warn import warn
from keras_priors.version import __version__

# Made anew where this module is imported: a thread has that of its process, and a forked process
# that of another, with the locks of threads that did not come along.
_PROCESS = (os.getpid(), uuid4().hex)
_HOW = (
    "Give a ProcessPoolExecutor with mp_context=multiprocessing.get_context('spawn'), or workers "
    "on other machines, or leave `executor` out."
)
# Keras' names, and Python's list of who hears warnings, are those of a process.
_ONE_AT_A_TIME = threading.Lock()


@share
def check_executor(executor: Any) -> None:
    """Refuses what is none."""
    if executor is not None and not isinstance(executor, Executor):
        raise TypeError(
            "`executor` must be a concurrent.futures.Executor, such as a ProcessPoolExecutor with "
            "mp_context=multiprocessing.get_context('spawn'), or `client.get_executor()` of Dask. "
            f"Received: executor={executor!r} of type {type(executor).__name__}."
        )


@share
class Workers:
    """What an executor was asked for, by number: errors and warnings say whose they are. Final.

    Args:
        executor: a `concurrent.futures.Executor`.
        kind: what a number stands for, such as "member".
        owner: who asks, such as "DeepEnsemble"; for errors.
    """

    def __init__(self, executor: Executor, kind: str, owner: str) -> None:
        self.futures: dict[Any, Future[Any]] = {}
        self._executor, self._kind, self._owner = executor, kind, owner
        self._said: dict[str, list[Any]] = {}

    def submit(self, number: Any, function: Callable[..., Any], *arguments: Any) -> None:
        """Asks for `function(*arguments)`, which goes by its name: one of a module."""
        self.futures[number] = self._executor.submit(
            _work, function, arguments, _setting(), _PROCESS
        )

    def outcome(self, number: Any) -> Any:
        """What it gave, when it is done."""
        try:
            outputs, said = self.futures[number].result()
        except Exception as error:
            error.add_note(f"Raised by {self._kind} {number} of {self._owner}.")
            raise
        for text in said:
            self._said.setdefault(text, [])
            if number not in self._said[text]:
                self._said[text].append(number)
        return outputs

    def close(self) -> None:
        """Cancels what has not begun, and says what the workers said."""
        for future in self.futures.values():
            future.cancel()
        for text, numbers in self._said.items():
            who = ", ".join(map(str, sorted(set(numbers))))
            kind = self._kind.capitalize() + "s" * (len(set(numbers)) > 1)
            warn(f"{kind} {who}: {text}")


def _setting() -> dict[str, Any]:
    """What must be the same in a worker, for the same result."""
    return {
        "KERAS_BACKEND": keras.config.backend(),
        "floatx": keras.config.floatx(),
        "image_data_format": keras.config.image_data_format(),
        "keras": keras.__version__,
        "keras_priors": __version__,
    }


def _work(
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    setting: dict[str, Any],
    parent: tuple[int, str],
) -> Any:
    """(what the function gave, what was warned of). Runs in a worker."""
    if parent == _PROCESS or _PROCESS[0] != os.getpid():
        where = "a thread of this process" if os.getpid() == parent[0] else "a forked process"
        raise ValueError(
            "The work of an `executor` goes to processes that import Keras themselves: its state "
            "is one for all threads, and threads of a backend do not live on in a fork. Received: "
            f"an `executor` that works in {where}. {_HOW}"
        )
    here = _setting()
    other = [f"{k}={here[k]!r} for {v!r}" for k, v in setting.items() if here[k] != v]
    if other:
        raise ValueError(
            "A worker must give what this process would. Received: one with "
            f"{', '.join(other)}. Start it with the same environment variables and versions, and "
            "say `keras.config` in the pool's `initializer`."
        )
    with _ONE_AT_A_TIME:
        try:
            return _with_what_was_said(function, arguments)
        except Exception as error:
            if _travels(error):
                raise
            words = f"{type(error).__name__}: {error}\n{traceback.format_exc()}"
    raise RuntimeError(words)  # by itself: pickle may take causes along


def _with_what_was_said(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        outputs = function(*arguments)
    said = [str(w.message) for w in caught if issubclass(w.category, (UserWarning, RuntimeWarning))]
    return outputs, list(dict.fromkeys(said))


def _travels(error: Exception) -> bool:
    """Whether pickle brings the error back: else a pool would break, and say nothing of it."""
    try:
        pickle.loads(pickle.dumps(error))
    except (pickle.PickleError, TypeError, AttributeError, ValueError, LookupError, ImportError):
        return False
    return True
