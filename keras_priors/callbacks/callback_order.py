"""Which callbacks stand before and after one in the list that runs it."""

import sys
from types import FrameType
from typing import Any

import keras


def _neighbours(callback: keras.callbacks.Callback) -> tuple[list[Any], list[Any]]:
    # A callback is not told of the list it is in: the list is looked up on the call stack, where
    # it runs this callback.
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        running = frame.f_locals.get("self")
        if isinstance(running, keras.callbacks.CallbackList):
            everything = list(running.callbacks)
            place = next((i for i, one in enumerate(everything) if one is callback), None)
            if place is not None:
                return everything[:place], everything[place + 1 :]
        frame = frame.f_back
    return [], []


def callbacks_before(callback: keras.callbacks.Callback) -> list[Any]:
    """Callbacks that the running list calls before this one."""
    return _neighbours(callback)[0]


def callbacks_after(callback: keras.callbacks.Callback) -> list[Any]:
    """Callbacks that the running list calls after this one."""
    return _neighbours(callback)[1]


def name_of(callback: Any) -> str:
    """The class of a callback and, where it has one, the quantity it monitors."""
    monitored = getattr(callback, "monitor", None)
    name = type(callback).__name__
    return name if monitored is None else f'{name}(monitor="{monitored}")'
