"""A model around a wrapped subclassed model."""

from typing import Any, Unpack

import keras

from keras_priors.layers.variational import Variational
from keras_priors.utils.call_signature import with_signature_of
from keras_priors.utils.export import export
from keras_priors.utils.layer_options import LayerOptions


@export()
class VariationalModel(keras.Model):
    """A subclassed model, made variational: what `keras_priors.to_variational` returns for one.

    Keras does not know the graph of a subclassed model, so its layers cannot be replaced one by
    one. Instead `keras_priors.layers.Variational` wraps the whole, and this model calls it with
    the arguments of the original.

    Args:
        wrapped: `keras_priors.layers.Variational` around a model.
        **kwargs: those of `keras.Model` (`name`, ...).

    Raises:
        ValueError: the wrapped model is not built.

    Example:
        >>> import keras
        >>> import keras_priors as kp
        >>> inner = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        >>> model = kp.models.VariationalModel(kp.layers.Variational(inner))
        >>> model(keras.ops.ones((4, 3))).shape == (4, 2)
        True
    """

    def __init__(self, wrapped: Any, **kwargs: Unpack[LayerOptions]) -> None:
        if isinstance(wrapped, dict):
            wrapped = keras.saving.deserialize_keras_object(wrapped)
        self.__dict__["call"] = with_signature_of(wrapped.layer, self.call)
        super().__init__(**kwargs)
        if not wrapped.layer.built:
            raise ValueError(
                "VariationalModel needs a wrapped model that is built. Received: "
                f"{wrapped.layer.name}, which is not. Call it on a batch first."
            )
        if not wrapped.built:
            wrapped.build()
        self.wrapped: Variational = wrapped
        self.built = True

    def call(self, *args: Any, training: bool | None = None, **kwargs: Any) -> Any:
        """Call the wrapped model."""
        return self.wrapped(*args, training=training, **kwargs)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {
            "name": self.name,
            "wrapped": keras.saving.serialize_keras_object(self.wrapped),
        }
