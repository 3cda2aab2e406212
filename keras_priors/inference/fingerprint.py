"""What a posterior is the posterior of, in a form that can be compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_priors.inference.log_posterior import LogPosterior

_WORDS = {
    "inputs": "other inputs",
    "targets": "other targets",
    "sample_weight": "another sample_weight",
    "likelihood": "another likelihood",
    "priors": "other priors, or priors of other weights",
}


def fingerprint(log_posterior: LogPosterior, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Hashes of data, likelihood and priors, and the settings of the method, for JSON.

    `num_data` is left out of the priors: the data themselves are here.
    """
    observations, positions = log_posterior.observations, log_posterior.positions
    priors = [
        [path, None if prior is None else _without_num_data(prior)]
        for path, prior in zip(positions.paths, positions.priors, strict=True)
    ]
    structure = log_posterior.likelihoods.structure
    return {
        "inputs": of_arrays(observations.x),
        "targets": of_arrays(observations.y),
        "sample_weight": of_arrays(observations.weight),
        "likelihood": _of_text(keras.saving.serialize_keras_object(structure)),
        "priors": _of_text(priors),
        "settings": {name: repr(value) for name, value in settings.items()},
    }


def check_same(owner: str, earlier: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuses to go on from a posterior of something else, and names what differs."""
    differing = differences(earlier, now)
    if differing:
        raise ValueError(
            f"{owner} goes on from a posterior of the same data, likelihood, priors and settings: "
            "draws of two posteriors are draws of none. Received: resume= a posterior with "
            f"{'; '.join(differing)}. Give what it was made with, or leave `resume` out."
        )


def differences(earlier: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs between two fingerprints, in words."""
    before, after = earlier["settings"], now["settings"]
    return [words for name, words in _WORDS.items() if earlier[name] != now[name]] + [
        f"{name}={before[name]} there and {after[name]} here"
        for name in after
        if name in before and before[name] != after[name]
    ]


def of_arrays(structure: Any) -> str:
    """A hash of NumPy arrays, their shapes and dtypes."""
    found = hashlib.blake2b(digest_size=16)
    for leaf in keras.tree.flatten(structure):
        found.update(f"{leaf.dtype.str}{leaf.shape}".encode())
        found.update(np.ascontiguousarray(leaf).tobytes())
    return found.hexdigest()


def _of_text(value: Any) -> str:
    text = json.dumps(nameless(value), sort_keys=True, default=repr)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _without_num_data(prior: Any) -> Any:
    config = prior.get_config()
    return [type(prior).__name__, {k: v for k, v in config.items() if k != "num_data"}]


def nameless(value: Any) -> Any:
    """A config without the names that Keras counts up, and the ids of objects."""
    if isinstance(value, dict):
        return {k: nameless(v) for k, v in value.items() if k not in ("name", "shared_object_id")}
    if isinstance(value, (list, tuple)):
        return [nameless(part) for part in value]
    return value
