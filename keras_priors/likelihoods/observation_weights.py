"""The weight that Keras gives to every observation, from its sample weight and its mask."""

from typing import Any

import keras
from keras import ops


class _Ones(keras.losses.Loss):
    """A Keras loss of ones without reduction, so that its value is the weights themselves.

    The mask of a tensor has no public accessor; to let Keras apply it is the public way.
    """

    def __init__(self) -> None:
        # TensorFlow takes no name of a scope that begins with an underscore.
        super().__init__(reduction="none", name="ones")

    def call(self, y_true: Any, y_pred: Any) -> Any:
        del y_true
        return ops.ones_like(y_pred[..., 0] if len(y_pred.shape) > 1 else y_pred)


def weights_loss() -> Any:
    """A Keras loss whose value is the weight of every observation."""
    return _Ones()


def spread(owner: str, sample_weight: Any, y_pred: Any, dtype: str) -> Any:
    """`sample_weight` with one entry for each observation: one of a row goes to all its steps."""
    weight = ops.convert_to_tensor(sample_weight, dtype=dtype)
    shape = ops.shape(y_pred)[:-1] if len(y_pred.shape) > 1 else ops.shape(y_pred)
    if len(weight.shape) == len(shape) + 1 and weight.shape[-1] == 1:
        weight = ops.squeeze(weight, axis=-1)
    if len(weight.shape) > len(shape):
        raise ValueError(
            f"A sample weight of {owner} belongs to an observation: all axes of the outputs but "
            f"the last. Received: sample weights of shape {tuple(weight.shape)} and outputs of "
            f"shape {tuple(y_pred.shape)}. Give one weight for each row, or for each step."
        )
    while len(weight.shape) < len(shape):
        weight = ops.expand_dims(weight, axis=-1)
    # A copy of its own: on PyTorch, Keras multiplies the mask into the weights it is given.
    return ops.copy(ops.broadcast_to(weight, shape))
