"""TensorFlow: Keras' optimizers without what they do for `tf.distribute`."""

from typing import Any

import keras


def stateless(optimizer: Any) -> Any:
    # Keras refuses `stateless_apply` on TensorFlow, because its methods for strategies want
    # `tf.Variable`s. Here they are those of the base class, which are the same on every backend.
    for_strategies, base = keras.optimizers.Optimizer.__bases__
    methods = {
        name: method
        for name, method in vars(base).items()
        if name in vars(for_strategies) and callable(method) and not name.startswith("__")
    }
    cls = type(optimizer)
    return type(cls.__name__, (cls,), methods).from_config(optimizer.get_config())  # type: ignore[attr-defined]
