"""What a checkpoint is a checkpoint of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors.inference.fingerprint import differences, nameless
from keras_priors.inference.journal import other_run
from keras_priors.utils.keras_internals import all_layers
from keras_priors.version import __version__

_WORDS = {
    "method": "another method",
    "backend": "another backend",
    "keras_priors": "another version of keras_priors",
    "layers": "other layers, or other arguments of them",
    "model": "another model, or other weights at the start",
    "resume": "another posterior to go on from",
    "seed": "another seed",
}


def run_of(
    method: Any, model: Any, x: Any, mark: Mapping[str, Any], seed: Any, given: bool, resume: Any
) -> dict[str, Any]:
    """What makes a run what it is, for JSON.

    Args:
        method: the method.
        model: the model.
        x: some rows of the inputs.
        mark: the fingerprint of data, likelihood, priors and settings.
        seed: pair of words.
        given: bool. Whether it comes from the caller, who must give the same again.
        resume: the posterior to go on from, or None.
    """
    settings = {name: _text(getattr(method, name)) for name in method._parameters}
    settings |= {name: _text(value) for name, value in method._of_this_fit().items()}
    arrays = None if resume is None else _hash(resume._state()[1].values())
    return {
        "method": type(method).__name__,
        "backend": keras.config.backend(),
        "keras_priors": __version__,
        "model": _hash(model.weights),
        "layers": [[type(layer).__name__, _config(layer)] for layer in all_layers(model)],
        "outputs": [float(v) for v in _outputs(model, x)],
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
    before, after = np.array(kept["outputs"]), np.array(now["outputs"])
    # By another computer the last digits may differ.
    if before.shape != after.shape or not np.allclose(
        before, after, rtol=1e-3, atol=1e-5, equal_nan=True
    ):
        differing.append("other outputs of the model at the start")
    differing += differences(kept["mark"], now["mark"])
    if differing:
        raise other_run(
            "A checkpoint is gone on from by the same call of `fit`. Received: checkpoint="
            f"{str(folder)!r}, which is of a run with {'; '.join(differing)}. Give the same "
            "(`keras.utils.set_random_seed` before a model is made gives it the same weights), or "
            "another folder."
        )


def _config(layer: Any) -> str:
    """The arguments of a layer without its name; of a model, whose layers come too, none."""
    if isinstance(layer, keras.Model):
        return ""
    try:
        config = layer.get_config()
    except NotImplementedError:  # of a layer of one's own that is not made to be saved
        return ""
    return json.dumps(nameless(config), sort_keys=True, default=lambda value: type(value).__name__)


def _outputs(model: Any, x: Any) -> Any:
    """How the layers go together is seen in what they give."""
    leaves = keras.tree.flatten(model(x, training=False))
    return np.concatenate(
        [np.ravel(ops.convert_to_numpy(ops.stop_gradient(leaf)))[:8] for leaf in leaves]
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
