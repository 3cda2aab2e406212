"""The members of an ensemble: one after the other here, or in the processes of an executor."""

from __future__ import annotations

import os
import pickle
import threading
import traceback
import warnings
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from copy import copy
from functools import partial
from typing import Any
from uuid import uuid4

import keras
from keras import ops

from keras_priors.inference.journal import current
from keras_priors.inference.log_posterior import LogPosterior
from keras_priors.inference.point_posterior import PointPosterior
from keras_priors.utils.progress import Progress
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
_prepared: tuple[bytes, Any] = (b"", None)


def check_executor(executor: Any) -> None:
    """Refuses what is none."""
    if executor is not None and not isinstance(executor, Executor):
        raise TypeError(
            "`executor` must be a concurrent.futures.Executor, such as a ProcessPoolExecutor with "
            "mp_context=multiprocessing.get_context('spawn'), or `client.get_executor()` of Dask. "
            f"Received: executor={executor!r} of type {type(executor).__name__}."
        )


def members_of(
    method: Any,
    log_posterior: LogPosterior,
    words: list[int],
    verbose: Any,
    check: Callable[[int, Any], None],
) -> list[Any]:
    """What each member gave, in their order; after Ctrl-C, those that are done.

    Args:
        method: has `num_members`, `_executor`, and `_member(log_posterior, words)`: a function from
            the number of a member to a structure of arrays, the same in every process.
        log_posterior: model and data.
        words: the seed, a pair of integers.
        verbose: as in `Method.fit`.
        check: refuses what a member gave, by its number.
    """
    owner, journal = type(method).__name__, current()
    progress = Progress(method.num_members, verbose)
    if method._executor is None:
        one: Any = method._member(log_posterior, words)
    else:
        one = _Workers(method, log_posterior, words)
    found: list[Any] = []

    def advance(number: int) -> tuple[Any, Any]:
        return (), one(number)

    try:
        for number in range(method.num_members):
            _, outputs = journal.step("members", partial(advance, number), ())
            check(number, outputs)
            found.append(outputs)
            progress.step()
    except KeyboardInterrupt:
        journal.stop()
        if isinstance(one, _Workers):
            for number, outputs in one.done(len(found)):
                check(number, outputs)
                found.append(outputs)
        if not found:
            raise
        warn(
            f"{owner} was interrupted: there are {len(found)} of {method.num_members} members.",
        )
    finally:
        if isinstance(one, _Workers):
            one.close()
    progress.close()
    return found


class _Workers:
    """Members in other processes, all begun when the first is asked for. Final."""

    def __init__(self, method: Any, log_posterior: LogPosterior, words: list[int]) -> None:
        self._method, self._log_posterior, self._words = method, log_posterior, words
        self._futures: dict[int, Future[Any]] = {}
        self._said: dict[str, list[int]] = {}

    def __call__(self, number: int) -> Any:
        """What this member gave. An error of any member comes as soon as it is known."""
        if not self._futures:
            self._begin(range(number, self._method.num_members))
        wanted, waiting = self._futures[number], set(self._futures.values())
        while not wanted.done():
            ended, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for each, future in self._futures.items():
                if future in ended:
                    self._outcome(each)
        return self._outcome(number)

    def done(self, first: int) -> list[Any]:
        """(number, what it gave) of all from the `first` on that are done, after Ctrl-C."""
        found = []
        for number, future in self._futures.items():
            ended = number >= first and future.done() and not future.cancelled()
            if ended and future.exception() is None:
                found.append((number, self._outcome(number)))
        return found

    def close(self) -> None:
        """Cancels what has not begun, and says what the workers said."""
        for future in self._futures.values():
            future.cancel()
        for text, numbers in self._said.items():
            who = ", ".join(map(str, sorted(set(numbers))))
            warn(f"Member{'s' * (len(set(numbers)) > 1)} {who}: {text}")

    def _begin(self, numbers: range) -> None:
        task = _packed(self._method, self._log_posterior, self._words)
        for number in numbers:
            self._futures[number] = self._method._executor.submit(
                _work, task, _setting(), _PROCESS, number
            )

    def _outcome(self, number: int) -> Any:
        try:
            outputs, said = self._futures[number].result()
        except Exception as error:
            error.add_note(f"Raised by member {number} of {type(self._method).__name__}.")
            raise
        for text in said:
            self._said.setdefault(text, [])
            if number not in self._said[text]:
                self._said[text].append(number)
        return outputs


def _setting() -> dict[str, Any]:
    """What must be the same in a worker, for the same members."""
    return {
        "KERAS_BACKEND": keras.config.backend(),
        "floatx": keras.config.floatx(),
        "image_data_format": keras.config.image_data_format(),
        "keras": keras.__version__,
        "keras_priors": __version__,
    }


def _packed(method: Any, log_posterior: LogPosterior, words: list[int]) -> bytes:
    """All that a worker needs; the model and the likelihood in the form of a posterior's file."""
    method = copy(method._for_workers())
    method._executor = None
    try:
        point = PointPosterior(
            log_posterior.model,
            log_posterior.likelihoods.structure,
            log_posterior.positions.current(),
        )
        o = log_posterior.observations
        return pickle.dumps((method, point, (o.x, o.y, o.weight), words))
    except Exception as error:
        raise ValueError(
            "What goes to the processes of an `executor` must be known there: the model as Keras "
            "saves it, and callbacks that pickle takes (no lambda, no class or function within "
            f"a function). Received: {type(error).__name__}: {error} Leave `executor` out where "
            "that cannot be."
        ) from error


def _work(task: bytes, setting: dict[str, Any], parent: tuple[int, str], number: int) -> Any:
    """(what a member gave, what was warned of). Runs in a worker."""
    if parent == _PROCESS or _PROCESS[0] != os.getpid():
        where = "a thread of this process" if os.getpid() == parent[0] else "a forked process"
        raise ValueError(
            "The members of an ensemble go to processes that import Keras themselves: its state "
            "is one for all threads, and threads of a backend do not live on in a fork. Received: "
            f"an `executor` that works in {where}. {_HOW}"
        )
    here = _setting()
    other = [f"{k}={here[k]!r} for {v!r}" for k, v in setting.items() if here[k] != v]
    if other:
        raise ValueError(
            "A worker must give the members that this process would. Received: one with "
            f"{', '.join(other)}. Start it with the same environment variables and versions, and "
            "say `keras.config` in the pool's `initializer`."
        )
    with _ONE_AT_A_TIME:
        try:
            return _result(task, number)
        except Exception as error:
            if _travels(error):
                raise
            words = f"{type(error).__name__}: {error}\n{traceback.format_exc()}"
    raise RuntimeError(words)  # by itself: pickle may take causes along


def _result(task: bytes, number: int) -> Any:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        outputs = _member_function(task)(number)
    said = [str(w.message) for w in caught if issubclass(w.category, (UserWarning, RuntimeWarning))]
    return keras.tree.map_structure(ops.convert_to_numpy, outputs), list(dict.fromkeys(said))


def _member_function(task: bytes) -> Any:
    """Made once in a process, with what it has compiled."""
    global _prepared
    if _prepared[0] != task:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of model and data, as in the process that asks
            method, point, (x, y, weight), words = pickle.loads(task)
            log_posterior = LogPosterior(point.model, x, y, point.likelihood, sample_weight=weight)
        _prepared = task, method._member(log_posterior, words)
    return _prepared[1]


def _travels(error: Exception) -> bool:
    """Whether pickle brings the error back: else a pool would break, and say nothing of it."""
    try:
        pickle.loads(pickle.dumps(error))
    except (pickle.PickleError, TypeError, AttributeError, ValueError, LookupError, ImportError):
        return False
    return True
