"""What is done to the weights of a model needs a model with weights."""

from typing import Any

import keras

from keras_priors.utils.export import share
from keras_priors.utils.keras_internals import all_layers


@share
def check_built(verb: str, model: Any) -> None:
    """Refuse what is not a model, and a model that is not built."""
    if not isinstance(model, keras.Model):
        raise TypeError(
            f"`model` of `{verb}` must be a keras.Model. "
            f"Received: {model!r} of type {type(model).__name__}. "
            "For a single layer write `Dense(10, kernel_regularizer=keras_priors.NormalPrior())`."
        )
    # Keras marks a subclassed model as built by `model.build`, also where that makes no weights.
    hollow = not model.weights and any(not layer.built for layer in all_layers(model))
    if not model.built or hollow:
        raise ValueError(
            f"`{verb}` needs a model that is built: before, it has no weights. "
            f"Received: {model.name}, {'whose layers are' if model.built else 'which is'} not. "
            f"Write `{model.name}.build(input_shape)`, call it on a batch, or begin it with "
            "`keras.Input(shape)`."
        )
