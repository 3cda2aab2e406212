"""What every Keras layer takes beside its own arguments, for type checkers."""

from typing import Any, TypedDict


class LayerOptions(TypedDict, total=False):
    """The keyword arguments of `keras.layers.Layer`: `**kwargs: Unpack[LayerOptions]`."""

    activity_regularizer: Any
    trainable: bool
    dtype: Any
    autocast: bool
    name: str | None
