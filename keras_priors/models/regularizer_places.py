"""Where in the config of its model the regularizer and the constraint of a weight are kept."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_priors import backend
from keras_priors.functional.weights import Weight, find_weights
from keras_priors.layers.variational import Variational
from keras_priors.layers.variational_layer import VariationalLayer
from keras_priors.models.rebuild import rebuild
from keras_priors.priors.prior import Prior
from keras_priors.utils.export import register
from keras_priors.utils.keras_internals import all_layers


@register
class RegularizerPlace(Prior):
    """Stands for what a config has under one `..._regularizer`.

    It is a prior because a variational wrapper takes nothing else from the layer within it.
    """

    _parameters = ("index",)

    def __init__(self, index: int, *, num_data: int | None = None) -> None:
        super().__init__(num_data=num_data)
        self.index = index

    def _distribution(self, shape: tuple[int, ...], dtype: str, broadcast: bool) -> Any:
        return backend.distribution("Normal", loc=ops.zeros(shape, dtype), scale=1.0)


@register
class ConstraintPlace(keras.constraints.Constraint):
    """Stands for what a config has under one `..._constraint`."""

    def __init__(self, index: int) -> None:
        self.index = index

    def __call__(self, w: Any) -> Any:
        return w

    def get_config(self) -> dict[str, Any]:
        return {"index": self.index}


class Places:
    """For each weight, the place that it reads; for each place, the attributes that hold it.

    No list of layers says that the kernel of an LSTM's cell is kept by the LSTM, or that all
    projections of an attention layer read one `kernel_regularizer`. The model is made once of its
    config, with a mark in each place; marks are then found on variables and on attributes.
    """

    def __init__(self, model: keras.Model, weights: Sequence[Weight]) -> None:
        self._count = 0
        variational = {type(w.owner) for w in weights if isinstance(w.owner, VariationalLayer)}
        self._variational = {cls.__name__ for cls in variational} - {Variational.__name__}
        twin = rebuild(model, self._mark)
        marked = aligned(model, weights, twin)
        self._all = all_layers(model)
        self._attributes: dict[int, list[tuple[Any, str]]] = {}
        for layer, other in zip(self._all, all_layers(twin), strict=True):
            for name, value in vars(other).items():
                if isinstance(value, (RegularizerPlace, ConstraintPlace)):
                    self._attributes.setdefault(value.index, []).append((layer, name))
        self.of = {
            "regularizer": [_index(w.variable.regularizer) for w in marked],
            "constraint": [_index(w.variable.constraint) for w in marked],
        }

    def attributes(self, place: int | None) -> list[tuple[Any, str]]:
        """The layers, and the names of their attributes, that hold what is kept in a place."""
        return [] if place is None else self._attributes.get(place, [])

    def _mark(self, key: str, value: Any, inside: tuple[str, ...], of: dict[Any, Any]) -> Any:
        if not (value is None or isinstance(value, dict)) or key == "activity_regularizer":
            return value
        # These have priors in the place of regularizers, and refuse others.
        if not self._variational.isdisjoint(inside):
            return value
        if key.endswith("regularizer"):
            kind: Any = RegularizerPlace
        # Draws would leave what a constraint keeps, so a wrapper refuses one.
        elif key.endswith("constraint") and Variational.__name__ not in inside:
            # Keras makes the factors of LoRA beside no kernel that has a constraint.
            if of.get("lora_rank") and key != "bias_constraint":
                return value
            kind = ConstraintPlace
        else:
            return value
        self._count += 1
        return keras.saving.serialize_keras_object(kind(self._count))


def aligned(model: keras.Model, weights: Sequence[Weight], twin: Any) -> list[Weight]:
    """The weights of a rebuilt model, in the order of the model's own."""
    others = find_weights(twin) if twin.built else []
    same = [type(x) for x in all_layers(model)] == [type(x) for x in all_layers(twin)]
    if not same or [w.shape for w in weights] != [w.shape for w in others]:
        raise ValueError(
            "`set_priors` sets a prior only where `model.save` keeps it, and what Keras makes of "
            f"the config of {model.name} ({type(model).__name__}) has other layers or weights than "
            f"the model: {len(others)} weights, not {len(weights)}, of shapes "
            f"{[w.shape for w in others][:8]} and {[w.shape for w in weights][:8]}. Make all "
            "layers in `__init__`, from arguments that `get_config` returns (Keras' own, of a "
            "subclassed model, returns the defaults), build them in `build`, and "
            "share none between two nested models: Keras makes two of it, and cannot load that. To "
            "train with a prior that is not saved, write `variable.regularizer = prior` yourself."
        )
    return others


def _index(value: Any) -> int | None:
    return value.index if isinstance(value, (RegularizerPlace, ConstraintPlace)) else None
