"""What a run has done, kept on disk, so that another process does not do it again."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pathlib
import re
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any

import numpy as np
from keras import ops

from keras_priors.inference.replacing import replacing
from keras_priors.inference.saved_arrays import read_arrays

_FORMAT = 1
_PART = re.compile(r"steps-(\d{9})-(\d{9})\.zip")


class Journal:
    """The steps of a run: what each gave, and the state after the last. Final.

    A loop does its work in `step`. Those that the folder has are not done again: they give what
    they gave, so that all that follows from it takes the same way; the first new step begins
    where the last kept one ended. Without a folder nothing is kept.

    Args:
        folder: path, or None.
        seconds: float, how long steps may wait to be written.
    """

    def __init__(self, folder: pathlib.Path | None = None, seconds: float = 0.0) -> None:
        self._folder, self._seconds = folder, seconds
        self._kept: list[Any] = []
        self._replayed = 0
        self._state: Any = None
        self._fresh: list[Any] = []
        self._written = time.monotonic()
        self._stopped = folder is None

    def open(self, header: dict[str, Any], check: Callable[[Mapping[str, Any]], None]) -> Any:
        """Read what is there, or begin; the header that holds. `check` refuses another run's."""
        assert self._folder is not None
        self._folder.mkdir(parents=True, exist_ok=True)
        for left in self._folder.glob(".*.unfinished"):  # of a process that was killed
            left.unlink(missing_ok=True)
        path = self._folder / "run.json"
        if not path.exists():
            if any(self._folder.iterdir()):
                raise ValueError(
                    "The folder of a checkpoint must be new, empty, or that of the same run. "
                    f"Received: {self._folder}, which holds other files. Give another."
                )
            head = {"format": _FORMAT, **header}
            self._write(path, json.dumps(head).encode())
            return header
        with _reading(path):
            found = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(found, dict) or found.get("format") != _FORMAT:
                raise ValueError(f"its format is not {_FORMAT}")
            check(found)
        self._read_steps()
        return found

    def step(self, name: str, advance: Callable[[], tuple[Any, Any]], state: Any) -> Any:
        """(state, outputs) of a step of the loop `name`: what `advance()` gives, or gave.

        Both are structures of arrays. Of a step that is followed by others only the outputs are
        kept: it gives the `state` it was given, and a loop says by `end` which it ends with.
        """
        if self._replayed < len(self._kept):
            found, outputs = self._kept[self._replayed]
            if found != name:
                raise ValueError(
                    "A checkpoint is that of a run of the same steps. Received: "
                    f"{self._folder}, in which {found} comes where {name} is done. Another version "
                    "of the method wrote it: take another folder."
                )
            self._kept[self._replayed] = None  # a loop keeps what it needs
            self._replayed += 1
            if self._replayed == len(self._kept):
                state = _like(state, self._state)
            return state, outputs
        token = _CURRENT.set(None)  # what runs within a step is a part of it
        try:
            state, outputs = advance()
        finally:
            _CURRENT.reset(token)
        if not self._stopped:
            self._fresh.append([name, _as_numpy(outputs), state])
            if len(self._fresh) > 1:  # one state is kept: that of a sum may be a large matrix
                self._fresh[-2][2] = None
            if time.monotonic() - self._written >= self._seconds:
                self.write()
        return state, outputs

    def end(self, name: str, state: Any) -> Any:
        """The state in which the loop `name` ends, or ended."""
        found = self.step(f"the end of {name}", lambda: ((), {"state": state}), ())[1]["state"]
        return _like(state, found)

    def stop(self) -> None:
        """Keeps no further step: after Ctrl-C a loop ends where the next run goes on.

        While kept steps are taken over a loop does not know its state yet: Ctrl-C ends the run.
        """
        if self._replayed < len(self._kept):
            raise KeyboardInterrupt("while steps of the checkpoint were taken over: all are kept")
        self.write()
        self._stopped = True

    def write(self) -> None:
        """Keeps the steps that wait."""
        if self._stopped or not self._fresh:
            return
        assert self._folder is not None
        first, last = len(self._kept) + 1, len(self._kept) + len(self._fresh)
        steps = [(name, outputs) for name, outputs, _ in self._fresh]
        # The state last: what it does not count was not done.
        self._write(self._folder / f"steps-{first:09d}-{last:09d}.zip", _packed(steps))
        state = {"count": np.array(last), "state": _as_numpy(self._fresh[-1][2])}
        self._write(self._folder / "state.zip", _packed(state))
        self._fresh, self._kept = [], [None] * last
        self._replayed = last
        self._written = time.monotonic()

    def _write(self, path: pathlib.Path, content: bytes) -> None:
        try:
            with replacing(path) as unfinished:
                unfinished.write_bytes(content)
            if os.name == "posix":  # the new name too, where a folder can be synced
                folder = os.open(path.parent, os.O_RDONLY)
                try:
                    os.fsync(folder)
                finally:
                    os.close(folder)
        except OSError as error:
            self._stopped = True
            raise OSError(
                error.errno,
                f"A checkpoint must be written as a whole. Received: {error.strerror}. What was "
                "kept before is there: make room, and call `fit` again",
                str(path),
            ) from error

    def _read_steps(self) -> None:
        assert self._folder is not None
        path = self._folder / "state.zip"
        count = 0
        if path.exists():
            with _reading(path):
                found = _unpacked(path.read_bytes())
                count, self._state = int(found["count"]), found["state"]
        for path in sorted(self._folder.glob("steps-*.zip")):
            named = _PART.fullmatch(path.name)
            with _reading(path):
                if named is None:
                    raise ValueError("no such name is given to a file")
                first, last = int(named[1]), int(named[2])
                if last > count:  # written, and not counted: the process died between the two
                    path.unlink()
                    continue
                steps = _unpacked(path.read_bytes())
                if first != len(self._kept) + 1 or len(steps) != last - first + 1:
                    raise ValueError(f"it should begin with step {len(self._kept) + 1}")
            self._kept += steps
        if len(self._kept) != count:
            raise ValueError(
                "A checkpoint is read as a whole. Received: "
                f"{self._folder}, which has {len(self._kept)} of {count} steps. A file is missing: "
                "take a copy of all, or another folder."
            )


_CURRENT: ContextVar[Journal | None] = ContextVar("journal", default=None)


def current() -> Journal:
    """The journal of the `fit` that is running, or one that keeps nothing."""
    return _CURRENT.get() or Journal()


@contextlib.contextmanager
def kept_in(journal: Journal) -> Iterator[None]:
    """What runs within is kept in this journal."""
    token = _CURRENT.set(journal)
    try:
        yield
        journal.write()
    except KeyboardInterrupt:
        journal.write()
        raise
    finally:
        _CURRENT.reset(token)


@contextlib.contextmanager
def _reading(path: pathlib.Path) -> Iterator[None]:
    """Errors say which file is at fault."""
    try:
        yield
    except _OtherRun:
        raise
    except (ValueError, KeyError, TypeError, zipfile.BadZipFile, EOFError) as error:
        raise ValueError(
            "A checkpoint is read from files as `fit` wrote them. Received: "
            f"{path}: {error}. If it is damaged, take another copy of the folder, or another "
            "folder to begin anew."
        ) from error


class _OtherRun(ValueError):
    """A run that goes on must be the same."""


def other_run(message: str) -> ValueError:
    """The error of a header that is another's."""
    return _OtherRun(message)


def _as_numpy(value: Any) -> Any:
    """Structures of dictionaries, lists and tuples with arrays as leaves."""
    if isinstance(value, Mapping):
        return {key: _as_numpy(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        parts = map(_as_numpy, value)
        return tuple(parts) if isinstance(value, tuple) else list(parts)
    return None if value is None else np.array(ops.convert_to_numpy(value))


def _like(given: Any, kept: Any) -> Any:
    """What was kept, as tensors where those that are given are tensors."""
    if isinstance(given, Mapping):
        return {key: _like(part, kept[key]) for key, part in given.items()}
    if isinstance(given, (list, tuple)):
        parts = map(_like, given, kept)
        return tuple(parts) if isinstance(given, tuple) else list(parts)
    if ops.is_tensor(given) and not ops.is_tensor(kept):
        return ops.convert_to_tensor(kept, dtype=str(kept.dtype))
    return kept


def _packed(value: Any) -> bytes:
    """A structure as a zip file of its form, in JSON, and its arrays."""
    leaves: list[Any] = []

    def form(part: Any) -> Any:
        if isinstance(part, Mapping):
            return {"of": {key: form(each) for key, each in part.items()}}
        if isinstance(part, (list, tuple)):
            return ["tuple" if isinstance(part, tuple) else "list", *map(form, part)]
        if part is None or isinstance(part, str):
            return part
        leaves.append(part)
        return len(leaves) - 1

    text, arrays, packed = json.dumps(form(value)), io.BytesIO(), io.BytesIO()
    np.savez(arrays, **{str(k): leaf for k, leaf in enumerate(leaves)})
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("form.json", text)
        file.writestr("arrays.npz", arrays.getvalue())
    return packed.getvalue()


def _unpacked(content: bytes) -> Any:
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        form, arrays = json.loads(file.read("form.json")), read_arrays(file.read("arrays.npz"))

    def value(part: Any) -> Any:
        if isinstance(part, dict):
            return {key: value(each) for key, each in part["of"].items()}
        if isinstance(part, list):
            return {"list": list, "tuple": tuple}[part[0]](map(value, part[1:]))
        return arrays[str(part)] if isinstance(part, int) else part

    return value(form)
