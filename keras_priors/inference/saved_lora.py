"""Low-rank adaptation (LoRA) in a posterior's file."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from keras import ops

from keras_priors.functional.lora import adaptable_layers, adapted_layers, factors_of
from keras_priors.inference.saved_arrays import SavedArrays
from keras_priors.inference.saved_number import saved_number


@contextlib.contextmanager
def lora_apart(model: Any) -> Iterator[None]:
    """Within it Keras saves the kernels as they are.

    Else it saves them with A B in them, and loads A and B as 0: draws of both would come on top.
    """
    layers = list(adapted_layers(model).values())
    try:
        for layer in layers:
            layer.lora_enabled = False
        yield
    finally:
        for layer in layers:
            layer.lora_enabled = True


def lora_state(model: Any) -> tuple[dict[str, float], dict[str, Any]]:
    """(alpha by the path of the layer, factors by "lora/number/name", in that order)."""
    alphas, arrays = {}, {}
    for k, (path, layer) in enumerate(adapted_layers(model).items()):
        alphas[path] = float(layer.lora_alpha)
        for factor, variable in zip("ab", factors_of(layer), strict=True):
            arrays[f"lora/{k}/{factor}"] = ops.convert_to_numpy(variable)
    return alphas, arrays


def restore_lora(model: Any, alphas: Mapping[str, Any], arrays: SavedArrays) -> None:
    """Give a loaded model what `lora_state` found, and take it out of the arrays."""
    layers = adaptable_layers(model) if alphas else {}
    for number, path in enumerate(alphas):
        if path not in layers:
            raise ValueError(
                f"LoRA is on layers of the model that can have it, {list(layers)[:8]}. Received: "
                f"on {path!r}."
            )
        layer = layers[path]
        a, b = (arrays.pop(f"lora/{number}/{factor}", None) for factor in "ab")
        if a is None or b is None:
            raise ValueError(f"There must be entries 'lora/{number}/a' and 'lora/{number}/b'.")
        alpha = saved_number(alphas, path)
        if not layer.lora_enabled:
            layer.enable_lora(a.shape[-1] if a.ndim else 1, lora_alpha=alpha)
        layer.lora_alpha = alpha
        for variable, value in zip(factors_of(layer), (a, b), strict=True):
            if tuple(variable.shape) != value.shape:
                raise ValueError(
                    f"A factor of LoRA must have the shape {tuple(variable.shape)}. "
                    f"Received: {value.shape} for {variable.path}."
                )
            variable.assign(value)
