"""What a checkpoint is a checkpoint of."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors.inference.fingerprint import differences, nameless
from keras_priors.inference.journal import other_run

_WORDS = {
    "method": "another method",
    "backend": "another backend",
    "model": "another model, or other weights at the start",
    "resume": "another posterior to go on from",
    "seed": "another seed",
}


def run_of(
    method: Any, model: Any, mark: Mapping[str, Any], seed: Any, given: bool, resume: Any
) -> dict[str, Any]:
    """What makes a run what it is, for JSON.

    Args:
        method: the method.
        model: the model.
        mark: the fingerprint of data, likelihood, priors and settings.
        seed: pair of words.
        given: bool. Whether it comes from the caller, who must give the same again.
        resume: the posterior to go on from, or None.
    """
    settings = {name: _text(getattr(method, name)) for name in method._parameters}
    arrays = None if resume is None else _hash(resume._state()[1].values())
    return {
        "method": type(method).__name__,
        "backend": keras.config.backend(),
        "model": _hash(model.weights),
        "resume": arrays,
        "seed": [int(word) for word in ops.convert_to_numpy(seed)],
        "seed_given": given,
        "mark": {**mark, "settings": {**mark["settings"], **settings}},
    }


def check_same_run(folder: Any, kept: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuses a checkpoint of another run, and names what differs."""
    ignored = () if now["seed_given"] else ("seed",)
    differing = [
        words for name, words in _WORDS.items() if name not in ignored and kept[name] != now[name]
    ]
    differing += differences(kept["mark"], now["mark"])
    if differing:
        raise other_run(
            "A checkpoint is gone on from by the same call of `fit`. Received: checkpoint="
            f"{str(folder)!r}, which is of a run with {'; '.join(differing)}. Give the same "
            "(`keras.utils.set_random_seed` before a model is made gives it the same weights), or "
            "another folder."
        )


def _hash(arrays: Any) -> str:
    found = hashlib.blake2b(digest_size=16)
    for array in arrays:
        value = np.ascontiguousarray(ops.convert_to_numpy(array))
        found.update(f"{value.dtype.str}{value.shape}".encode())
        found.update(value.tobytes())
    return found.hexdigest()


def _text(value: Any) -> str:
    """A setting, as the same text in another process."""
    if isinstance(value, keras.optimizers.Optimizer):
        value = nameless(keras.saving.serialize_keras_object(value))
    return repr(value)
