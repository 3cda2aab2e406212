"""Inputs of layers, and a place to perturb what they give before their activation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

_MISSING = object()
_CALLS = ("call", "quantized_call")


@contextmanager
def captured(layers: Sequence[Any], perturbations: Sequence[Any] | None) -> Iterator[list[Any]]:
    """Within it, calls of these layers are seen: for each layer a list of (inputs, outputs).

    Args:
        layers: layers with an attribute `activation`. The outputs are those before it.
        perturbations: for each layer a tensor that is added to these outputs; None for none.
    """
    seen: list[Any] = [[] for _ in layers]
    for k, layer in enumerate(layers):
        perturbation = None if perturbations is None else perturbations[k]
        # Keras calls the second of a quantized layer.
        for name in _CALLS:
            layer.__dict__[name] = _watched(layer, name, seen[k], perturbation)
    try:
        yield seen
    finally:
        for layer in layers:
            for name in _CALLS:
                del layer.__dict__[name]


def _watched(layer: Any, name: str, seen: list[Any], perturbation: Any) -> Any:
    def call(inputs: Any, *args: Any, **kwargs: Any) -> Any:
        activation = layer.activation
        held = layer.__dict__.get("activation", _MISSING)
        layer.__dict__["activation"] = None
        try:
            outputs = getattr(type(layer), name)(layer, inputs, *args, **kwargs)
        finally:
            if held is _MISSING:
                del layer.__dict__["activation"]
            else:
                layer.__dict__["activation"] = held
        seen.append((inputs, outputs))
        if perturbation is not None:
            outputs = outputs + perturbation
        return outputs if activation is None else activation(outputs)

    return call
