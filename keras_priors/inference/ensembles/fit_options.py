"""What `DeepEnsemble.fit` takes beside the arguments of all methods."""

from __future__ import annotations

from typing import Any

import keras

from keras_priors.functional.observations import Observations
from keras_priors.inference.fingerprint import of_arrays


def callbacks_of(callbacks: Any, number: int) -> list[Any]:
    """The callbacks of a member."""
    found = callbacks(number) if callable(callbacks) else callbacks
    listed: list[Any] = [] if found is None else keras.tree.flatten(found)
    for each in listed:
        if not isinstance(each, keras.callbacks.Callback):
            raise TypeError(
                "`callbacks` must be a list of Keras callbacks, or a function from the number of "
                f"a member to one. Received: {each!r} of type {type(each).__name__}."
            )
    return listed


def checked_validation(data: Any, split: float) -> Observations | None:
    """What validates, or None."""
    if not 0.0 <= split < 1.0 or (split and data is not None):
        raise ValueError(
            "`validation_split` must be at least 0 and less than 1, and 0 beside "
            f"`validation_data`. Received: validation_split={split!r}, and validation_data "
            f"{'that is given' if data is not None else 'None'}."
        )
    if data is None:
        return None
    return Observations(*data) if isinstance(data, (tuple, list)) else Observations(data)


def options_of(callbacks: Any, data: Observations | None, split: float) -> dict[str, Any]:
    """All of them, for a checkpoint: what must be the same when another process goes on.

    Args:
        callbacks: a list, or a function of the number of a member. Of what they do only the types
            are known.
        data: what validates, or None.
        split: the part of the rows that validates.
    """
    names = "a function"
    if not callable(callbacks):
        names = ", ".join(type(each).__name__ for each in callbacks_of(callbacks, 0))
    return {
        "validation_split": split,
        "validation_data": None if data is None else of_arrays((data.x, data.y, data.weight)),
        "callbacks": names,
    }
