"""K shares from K + 1 outputs: the logits of their means, and a concentration."""

from typing import Any

from keras import ops


def concentrations(outputs: Any, least: float) -> Any:
    """c = least + softplus(r) softmax(f), (..., K), of outputs that are f, then r."""
    total = ops.softplus(outputs[..., -1:])
    return least + total * ops.softmax(outputs[..., :-1], axis=-1)


def check_share_outputs(owner: str, shape: tuple[int | None, ...]) -> None:
    """Refuses outputs of a shape in which there are no two shares."""
    if len(shape) < 2 or shape[-1] is None or shape[-1] < 3:
        raise ValueError(
            f"{owner} takes K + 1 outputs for K shares, of which there are at least 2. "
            f"Received: outputs of shape {shape}. End the model with "
            "keras.layers.Dense(K + 1)."
        )
