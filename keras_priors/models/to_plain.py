"""The plain Keras model that a variational one stands for."""

from collections.abc import Callable
from typing import Any

import keras

from keras_priors.functional.check_built import check_built
from keras_priors.functional.clone import clone, copy_variables, is_cloneable, own
from keras_priors.functional.copy_of import copy_of
from keras_priors.layers.variational import Variational
from keras_priors.layers.variational_layer import VariationalLayer
from keras_priors.models.twins import plain_class, posteriors_by_weight
from keras_priors.models.variational_model import VariationalModel
from keras_priors.posteriors.posterior import Posterior
from keras_priors.utils.export import share
from keras_priors.utils.keras_internals import all_layers, copy_called

Value = Callable[[Posterior], Any]
"""What takes the place of a posterior."""


@share
def to_plain(owner: str, model: Any, value: Value) -> Any:
    """The plain model with `value(posterior)` for every weight that has a posterior."""
    check_built(owner, model)
    if isinstance(model, VariationalModel):
        inner = _copy_layer(model.wrapped.layer)
        _fill(model.wrapped, inner, value)
        return inner
    if is_cloneable(model):
        new, pairs = clone(model, _plain, compiled=False)
        for old, copy in pairs:
            _fill(old, copy, value)
        copy_called(model, new)
        return new
    found = [x.name for x in all_layers(model) if isinstance(x, VariationalLayer)]
    if found:
        raise ValueError(
            "Keras does not know the graph of a subclassed model, so that its layers cannot be "
            f"replaced. Received: {model.name} with the variational layers {found}. Write the "
            "model with the functional API, or make a plain one variational with "
            "keras_priors.to_variational, which remembers it."
        )
    new = _copy_layer(model)
    copy_variables(model, new)
    return new


def _fill(old: Any, new: Any, value: Value) -> None:
    if isinstance(old, Variational):
        by_loc = {id(q.loc): q for q in old.posteriors.values()}
        for source, target in zip(old.layer.variables, new.variables, strict=True):
            posterior = by_loc.get(id(source))
            target.assign(own(source if posterior is None else value(posterior)))
        new.trainable = old.trainable
    elif isinstance(old, VariationalLayer):
        found = posteriors_by_weight(old)
        for target in new.trainable_variables:
            target.assign(own(value(found[target.name])))
        new.trainable = old.trainable
    else:
        copy_variables(old, new)


def _plain(layer: Any) -> Any:
    """The Keras layer that this one stands for."""
    if isinstance(layer, Variational):
        return _copy_layer(layer.layer)
    if isinstance(layer, VariationalLayer):
        plain = plain_class(type(layer))
        if plain is None:
            raise ValueError(
                "`to_deterministic` must know which Keras layer a variational layer stands for. "
                f"Received: {layer.name}, a {type(layer).__name__}. Derive its class from that "
                "layer too, after VariationalLayer."
            )
        return plain.from_config(_plain_config(plain.get_config(layer)))
    return type(layer).from_config(_plain_config(layer.get_config()))


def _copy_layer(layer: Any) -> Any:
    """A built copy without priors."""
    config = _plain_config(keras.saving.serialize_keras_object(layer))
    config.pop("compile_config", None)
    return copy_of("to_deterministic", layer, config)


_PACKAGE = "keras_priors>"


def _plain_config(config: Any) -> Any:
    """`config` with every serialized prior or constraint of this package replaced by None."""
    if isinstance(config, dict):
        name = str(config.get("registered_name") or "")
        if name.startswith(_PACKAGE) and not _is_layer(name):
            return None
        return {key: _plain_config(value) for key, value in config.items()}
    if isinstance(config, (list, tuple)):
        return type(config)(_plain_config(value) for value in config)
    return config


def _is_layer(name: str) -> bool:
    """Whether a layer of this package is registered under this name, such as `NoiseScale`."""
    found = keras.saving.get_registered_object(name)
    return isinstance(found, type) and issubclass(found, keras.layers.Layer)
