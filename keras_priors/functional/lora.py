"""Low-rank adaptation (LoRA), of which Keras keeps less in a config than copies and files need."""

from typing import Any

import numpy as np
from keras import ops

from keras_priors.utils.export import share
from keras_priors.utils.inner_paths import descend
from keras_priors.utils.keras_internals import own_weights
from keras_priors.utils.warn import warn


@share
def has_lora(layer: Any) -> bool:
    """Whether LoRA is enabled on this layer itself."""
    return bool(vars(layer).get("lora_enabled"))


@share
def adaptable_layers(model: Any) -> dict[str, Any]:
    """The layers that can have LoRA, by the names on the first way down to each."""
    found: dict[str, Any] = {}
    for layer, way in descend(model):
        if "lora_enabled" in vars(layer) and not any(layer is x for x in found.values()):
            path = "/".join(x.name for x in way)
            found[path if path not in found else f"{path}#{len(found)}"] = layer
    return found


@share
def adapted_layers(model: Any) -> dict[str, Any]:
    """Those that have it."""
    return {path: x for path, x in adaptable_layers(model).items() if has_lora(x)}


@share
def factors_of(layer: Any) -> list[Any]:
    """The variables A and B of a layer with LoRA, whose kernel gets (alpha / rank) A B."""
    found = [v for v in own_weights(layer) if v.name.startswith("lora_")]
    return sorted(found, key=lambda v: v.name)


@share
def carry_lora(old: Any, new: Any) -> None:
    """Give a built copy, of the same layers, the LoRA of what it was made of.

    A config keeps the rank of a layer with LoRA, and of an attention layer or a backbone, whose
    layers within it have LoRA, nothing. Keras 3.15 makes Dense and Embedding with the `lora_alpha`
    of their config, and then puts the rank in its place.
    """
    adapted = adapted_layers(old)
    copies = adaptable_layers(new) if adapted else {}
    for path, source in adapted.items():
        target = copies.get(path)
        if target is None:
            continue
        if not target.lora_enabled:
            target.enable_lora(source.lora_rank, lora_alpha=source.lora_alpha)
        target.lora_alpha = source.lora_alpha


@share
def warn_of_lora_at_zero(model: Any) -> None:
    """Say where both factors are 0, which no gradient leaves: so Keras loads them."""
    dead = [
        path
        for path, layer in adapted_layers(model).items()
        if not any(np.any(ops.convert_to_numpy(v)) for v in factors_of(layer))
    ]
    if dead:
        warn(
            "One of the two factors of LoRA must not be 0: where both are, both gradients are 0, "
            f"and no search leaves. Received: {model.name} with both at 0 on {', '.join(dead[:8])}"
            f"{' ...' if len(dead) > 8 else ''}. Keras saves A B within the kernel, and loads "
            "factors of 0: draw A anew, "
            "`layer.lora_kernel_a.assign(keras.initializers.HeUniform()(layer.lora_kernel_a.shape))`."
        )
