"""`num_data` in the file of a model whose config does not hold it."""

import json
from pathlib import Path
from typing import Any

from keras_priors.utils.keras_internals import Saveable
from keras_priors.utils.parameters import whole_number

_FILE = "num_data.json"
# What a prior or a layer has where nothing was said.
_FRESH = {"num_data": None, "temperature": 1.0}


class SavedNumData(Saveable):
    """Keeps the `num_data` of a prior in the `.keras` file, beside the weights. Abstract.

    A subclassed model is made anew by its own `__init__`, so that the priors in it come back as
    they are written there, and not as `set_num_data` left them. Keras gives whatever it saves a
    folder in the file, by its place among the attributes of the model.
    """

    num_data: int | None

    # The base would have it pickled as if it were a model.
    __reduce__ = object.__reduce__

    def save_assets(self, dir_path: str) -> None:
        """Called by Keras when it saves a model."""
        save_num_data(self, dir_path)

    def load_assets(self, dir_path: str | None) -> None:
        """Called by Keras when it loads a model."""
        load_num_data(self, dir_path)

    def _obj_type(self) -> str:
        # One of the kinds that Keras knows: it then walks over all that a loss does not have.
        return "Loss"


def save_num_data(owner: Any, dir_path: str, temperature: float = 1.0) -> None:
    """Write the `num_data` of a prior or a layer, and the temperature of a layer, where given."""
    saved = {"num_data": owner.num_data, "temperature": temperature}
    saved = {name: value for name, value in saved.items() if value != _FRESH[name]}
    if saved:
        (Path(dir_path) / _FILE).write_text(json.dumps(saved), encoding="utf-8")


def load_num_data(owner: Any, dir_path: str | None) -> None:
    """Read what `save_num_data` wrote, where it did.

    `load_weights` reads no assets: weights may come from a model of other data.
    """
    path = None if dir_path is None else Path(dir_path) / _FILE
    if path is not None and path.exists():
        saved = json.loads(path.read_text("utf-8"))
        if "num_data" in saved:
            owner.num_data = whole_number(type(owner).__name__, "num_data", saved["num_data"])
        if "temperature" in saved:
            owner.temperature = saved["temperature"]
