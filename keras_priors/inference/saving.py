"""One file for a posterior: the model, arrays, and a description. Nothing in it can run."""

from __future__ import annotations

import io
import json
import pathlib
import tempfile
import zipfile
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_priors.version import __version__

_FORMAT = 1


def save(posterior: Any, path: Any) -> None:
    """Write a posterior to a zip file: model.keras, arrays.npz, posterior.json."""
    path = _checked(path)
    config, arrays = posterior._state()
    description = {
        "format": _FORMAT,
        "keras_priors": __version__,
        "class": posterior.saved_name(),
        "config": config,
        "likelihood": keras.saving.serialize_keras_object(posterior.likelihood),
        "seconds": posterior.seconds,
    }
    packed = io.BytesIO()
    np.savez(packed, allow_pickle=False, **arrays)
    with tempfile.TemporaryDirectory() as folder:
        model = pathlib.Path(folder) / "model.keras"
        posterior.model.save(model)
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("posterior.json", json.dumps(description))
            file.writestr("arrays.npz", packed.getvalue())
            file.write(model, "model.keras")


def load(path: Any, known: Mapping[str, Any]) -> Any:
    """Read what `save` wrote; `known` has the classes that a file may name, and no other is."""
    path = _checked(path)
    try:
        with zipfile.ZipFile(path) as file:
            description = json.loads(file.read("posterior.json"))
            packed = file.read("arrays.npz")
            with tempfile.TemporaryDirectory() as folder:
                model = keras.saving.load_model(file.extract("model.keras", folder))
    except (KeyError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"A posterior is loaded from a file that `posterior.save` wrote. Received: {path}. "
            "A model alone is loaded by keras.saving.load_model."
        ) from error
    if description["format"] > _FORMAT:
        raise ValueError(
            f"This file was written by keras_priors {description['keras_priors']}, in a later "
            f"format ({description['format']}) than {__version__} reads. Update keras_priors."
        )
    cls = _class(description["class"], known)
    likelihood = keras.saving.deserialize_keras_object(description["likelihood"])
    with np.load(io.BytesIO(packed), allow_pickle=False) as arrays:
        posterior = cls._from_state(model, likelihood, description["config"], dict(arrays))
    posterior.seconds = description["seconds"]
    return posterior


def _class(name: str, known: Mapping[str, Any]) -> Any:
    if name not in known:
        raise ValueError(
            "A posterior's file names a class of keras_priors.inference, or another subclass of "
            f"its Posterior that was imported: {sorted(known)}. Received: {name!r}. Import the "
            "module that has it."
        )
    return known[name]


def _checked(path: Any) -> pathlib.Path:
    checked = pathlib.Path(path)
    if checked.suffix != ".posterior":
        raise ValueError(
            f'The name of a posterior\'s file ends in ".posterior". Received: {str(path)!r}.'
        )
    return checked
