"""The members of an ensemble: one after the other here, or in the processes of an executor."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, wait
from copy import copy
from functools import partial
from typing import Any

import keras
from keras import ops

from keras_priors.inference.journal import current
from keras_priors.inference.log_posterior import LogPosterior
from keras_priors.inference.point_posterior import PointPosterior
from keras_priors.inference.workers import Workers
from keras_priors.utils.progress import Progress
from keras_priors.utils.warn import warn

_prepared: tuple[bytes, Any] = (b"", None)


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
        one = _Members(method, log_posterior, words)
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
        if isinstance(one, _Members):
            for number, outputs in one.done(len(found)):
                check(number, outputs)
                found.append(outputs)
        if not found:
            raise
        warn(
            f"{owner} was interrupted: there are {len(found)} of {method.num_members} members.",
        )
    finally:
        if isinstance(one, _Members):
            one.close()
    progress.close()
    return found


class _Members:
    """Members in other processes, all begun when the first is asked for. Final."""

    def __init__(self, method: Any, log_posterior: LogPosterior, words: list[int]) -> None:
        self._method, self._log_posterior, self._words = method, log_posterior, words
        self._workers = Workers(method._executor, "member", type(method).__name__)

    def __call__(self, number: int) -> Any:
        """What this member gave. An error of any member comes as soon as it is known."""
        futures = self._workers.futures
        if not futures:
            task = _packed(self._method, self._log_posterior, self._words)
            for each in range(number, self._method.num_members):
                self._workers.submit(each, _result, task, each)
        wanted, waiting = futures[number], set(futures.values())
        while not wanted.done():
            ended, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for each, future in futures.items():
                if future in ended:
                    self._workers.outcome(each)
        return self._workers.outcome(number)

    def done(self, first: int) -> list[Any]:
        """(number, what it gave) of all from the `first` on that are done, after Ctrl-C."""
        found = []
        for number, future in self._workers.futures.items():
            ended = number >= first and future.done() and not future.cancelled()
            if ended and future.exception() is None:
                found.append((number, self._workers.outcome(number)))
        return found

    def close(self) -> None:
        """Cancels what has not begun, and says what the workers said."""
        self._workers.close()


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


def _result(task: bytes, number: int) -> Any:
    return keras.tree.map_structure(ops.convert_to_numpy, _member_function(task)(number))


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
