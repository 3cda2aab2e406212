"""One file for a posterior: the model, arrays, and a description. Nothing in it can run."""

from __future__ import annotations

import contextlib
import io
import json
import pathlib
import tempfile
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np

from keras_priors.functional.weights import find_weights
from keras_priors.inference.replacing import replacing
from keras_priors.inference.saved_arrays import SavedArrays, checked_sizes, read_arrays
from keras_priors.inference.saved_lora import lora_apart, lora_state, restore_lora
from keras_priors.inference.saved_number import saved_number
from keras_priors.inference.unsaved_priors import restore_priors, unsaved_priors
from keras_priors.version import __version__

_FORMAT = 1
_ENTRIES = ("posterior.json", "arrays.npz", "model.keras")
_DESCRIBED = ("format", "keras_priors", "class", "config", "likelihood", "seconds")


def save(posterior: Any, path: Any) -> None:
    """Write a posterior to a zip file: model.keras, arrays.npz, posterior.json."""
    path = _checked(path)
    with _model_file(posterior) as model, replacing(path) as unfinished:
        _write(posterior, model, unfinished)


def to_bytes(posterior: Any) -> bytes:
    """What `save` writes."""
    content = io.BytesIO()
    with _model_file(posterior) as model:
        _write(posterior, model, content)
    return content.getvalue()


@contextlib.contextmanager
def _model_file(posterior: Any) -> Iterator[pathlib.Path]:
    with tempfile.TemporaryDirectory() as folder:
        model = pathlib.Path(folder) / "model.keras"
        with lora_apart(posterior.model):
            posterior.model.save(model)
        yield model


def _write(posterior: Any, model: pathlib.Path, target: Any) -> None:
    """To a path or a file that is open."""
    config, arrays = posterior._state()
    alphas, factors = lora_state(posterior.model)
    trained = [w.path for w in find_weights(posterior.model) if w.variable.trainable]
    description = {
        "format": _FORMAT,
        "keras_priors": __version__,
        "class": posterior.saved_name(),
        "config": config,
        "likelihood": keras.saving.serialize_keras_object(posterior.likelihood),
        "seconds": posterior.seconds,
        "fingerprint": posterior.fingerprint,
        "temperature": posterior.temperature,
        "unsaved_priors": unsaved_priors(posterior.model),
        "trained": trained,
        "lora_alphas": alphas,
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        # As `np.savez` does, which takes `allow_pickle` for an array below NumPy 2.2.
        for name, value in {**arrays, **factors}.items():
            with file.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, np.asanyarray(value), allow_pickle=False)
    with zipfile.ZipFile(target, "w") as file:
        file.writestr("posterior.json", json.dumps(description))
        file.writestr("arrays.npz", packed.getvalue())
        file.write(model, "model.keras")


def load(path: Any, known: Mapping[str, Any]) -> Any:
    """Read what `save` wrote; `known` has the classes that a file may name, and no other is."""
    path = _checked(path)
    return _read(path, path, known)


def from_bytes(content: bytes, known: Mapping[str, Any]) -> Any:
    """Read what `to_bytes` gave, with the same checks."""
    return _read(io.BytesIO(content), pathlib.Path("a pickled posterior"), known)


def _read(source: Any, path: pathlib.Path, known: Mapping[str, Any]) -> Any:
    """From a path or an open file; errors name `path`."""
    try:
        with checked_sizes(zipfile.ZipFile(source)) as file:
            packed = {name: file.read(name) for name in _ENTRIES}
    except (KeyError, zipfile.BadZipFile, ValueError) as error:
        raise ValueError(
            f"A posterior is loaded from a file that `posterior.save` wrote. Received: {path}: "
            f"{error}. A model alone is loaded by keras.saving.load_model."
        ) from error
    with _reading(path, "posterior.json"):
        description = json.loads(packed["posterior.json"])
        missing = [name for name in _DESCRIBED if name not in description]
        if missing:
            raise ValueError(f"There must be entries {_DESCRIBED}. Received: none of {missing}.")
        seconds = saved_number(description, "seconds", optional=True)
        temperature = 1.0  # of the files of 0.1, which have none
        if "temperature" in description:
            temperature = saved_number(description, "temperature", optional=True)
        later = saved_number(description, "format") > _FORMAT
    if later:
        raise ValueError(
            f"This file was written by keras_priors {description['keras_priors']}, in a later "
            f"format ({description['format']}) than {__version__} reads. Update keras_priors."
        )
    cls = _class(description["class"], known)
    with _reading(path, "model.keras"), tempfile.TemporaryDirectory() as folder:
        checked_sizes(zipfile.ZipFile(io.BytesIO(packed["model.keras"])))
        place = pathlib.Path(folder) / "model.keras"
        place.write_bytes(packed["model.keras"])
        with warnings.catch_warnings():
            # Of a model that was compiled and never trained: its optimizer has no state to lose.
            warnings.filterwarnings("ignore", "Skipping variable loading for optimizer")
            model = keras.saving.load_model(place)
    with _reading(path, "arrays.npz"):
        arrays = SavedArrays(read_arrays(packed["arrays.npz"]), cls._may_be_infinite)
    with _reading(path, "arrays.npz or posterior.json"):
        restore_lora(model, description.get("lora_alphas", {}), arrays)
    with _reading(path, "posterior.json"):
        restore_priors(model, description.get("unsaved_priors", {}))  # not in the files of 0.1
        changed = _restore_trained(model, description.get("trained"))
        if model.compiled and (changed or description.get("lora_alphas")):
            # Its optimizer was built for other variables: one of them has no state in the file.
            model.compile_from_config(model.get_compile_config())
    with _reading(path, "posterior.json"):
        likelihood = keras.saving.deserialize_keras_object(description["likelihood"])
    with _reading(path, "arrays.npz or posterior.json"):
        posterior = cls._from_state(model, likelihood, description["config"], arrays)
    posterior.seconds, posterior.temperature = seconds, temperature
    posterior.fingerprint = description.get("fingerprint")  # not in the files of 0.1
    return posterior


def _restore_trained(model: Any, paths: Any) -> bool:
    """Which variables are trained, if Keras had lost it: it is in the config of layers alone."""
    weights = find_weights(model)
    trained_paths = set(paths or ())
    known = [[w.path for w in weights], [w.whole_path for w in weights]]
    paths_then = [each for each in known if trained_paths.issubset(each)]
    if not trained_paths or not paths_then:  # of 0.1
        return False
    changed = False
    for weight, path in zip(weights, paths_then[0], strict=True):
        trained = path in trained_paths
        if weight.variable.trainable != trained:
            weight.variable.trainable = trained
            changed = True
    return changed


@contextlib.contextmanager
def _reading(path: pathlib.Path, entry: str) -> Iterator[None]:
    """Errors of any kind say which part of which file is at fault."""
    try:
        yield
    except Exception as error:
        what = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        raise ValueError(
            "A posterior is loaded from a file as `posterior.save` wrote it, with the classes of "
            f"its model known to Keras. Received: {path}, in {entry}: {what} If the file is "
            "damaged, take another copy of it, or fit and save again."
        ) from error


def _class(name: str, known: Mapping[str, Any]) -> Any:
    if not isinstance(name, str) or name not in known:
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
