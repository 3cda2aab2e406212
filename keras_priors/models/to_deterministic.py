"""From a variational model back to a plain Keras model."""

from typing import Any

import keras

from keras_priors import backend
from keras_priors.models.to_plain import to_plain
from keras_priors.posteriors.posterior import Posterior
from keras_priors.utils.export import export


@export("keras_priors")
def to_deterministic(model: keras.Model, seed: Any = None) -> keras.Model:
    """A plain Keras model at the posterior mean, or at one draw, for deployment.

    Variational layers become the Keras layers that they stand for, wrapped layers come out of
    their wrapper, and priors are taken off the weights: neither the new model nor a file that it
    is saved to needs keras_priors, and `model.export` works as for any model, also to ONNX (Keras
    asks that `model` was called once). It is not compiled, because its loss may be a likelihood of
    this package. The models share no memory.

    Args:
        model: built `keras.Model` with variational layers, priors, or neither.
        seed: integer or None: None takes the posterior means, an integer one draw from the
            posterior of all weights. Defaults to None.

    Returns:
        A new `keras.Model`.

    Raises:
        TypeError: `model` is not a Keras model.
        ValueError: it is not built, or a subclassed model with variational layers of its own.

    Example:
        >>> import keras
        >>> import keras_priors as kp
        >>> model = keras.Sequential([keras.Input((4,)), kp.VariationalDense(3)])
        >>> plain = kp.to_deterministic(model)
        >>> [type(layer).__name__ for layer in plain.layers]
        ['Dense']
        >>> x = keras.ops.ones((2, 4))
        >>> bool(keras.ops.all(keras.ops.isclose(plain(x), model(x))))
        True
    """
    if seed is None:
        return to_plain("to_deterministic", model, lambda posterior: posterior.mean())
    words, count = backend.as_seed(seed), 0

    def draw(posterior: Posterior) -> Any:
        nonlocal count
        count += 1
        return posterior.sample(backend.fold_in(words, count))

    return to_plain("to_deterministic", model, draw)
