"""The outputs of a model as a function of its variables' values."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras

from keras_priors.utils.export import share
from keras_priors.utils.keras_internals import all_layers, plain_gradients

_ONE_AT_A_TIME = threading.RLock()
_HALF = ("float16", "bfloat16")


@share
class PureOutputs:
    """model(x, training=False) with given values in the place of its variables.

    Layers that compute in half precision do so in float32 here: a log posterior is a sum over rows
    whose differences float16 rounds away, so that no search would find where it rises. Likewise
    kernels that are quantized to int8 or int4 stay so, and what they multiply is not rounded: a
    rounded input is a step function of the weights before it.

    Args:
        model: built `keras.Model`.
        variables: those whose values come first; the others are `fixed_variables`.
    """

    def __init__(self, model: Any, variables: Sequence[Any]) -> None:
        self._model = model
        taken = {id(v) for v in variables}
        self.fixed_variables = [v for v in model.variables if id(v) not in taken]
        """Variables that stay as they are: frozen weights, statistics, seeds."""
        self._variables = [*variables, *self.fixed_variables]

    def __call__(self, values: Sequence[Any], fixed: Sequence[Any], x: Any) -> Any:
        """Outputs at these values of the variables and of `fixed_variables`."""
        mapping = list(zip(self._variables, [*values, *fixed], strict=True))
        # The scope of every variable: one without a value would be read past the tracer on JAX.
        scope = keras.StatelessScope(state_mapping=mapping)
        with scope, _full_precision(self._model), _not_rounded(self._model):
            return self._model(x, training=False)

    def fixed(self) -> list[Any]:
        """The values that `fixed_variables` have now, as tensors."""
        return [keras.ops.convert_to_tensor(v) for v in self.fixed_variables]


@contextmanager
def _full_precision(model: Any) -> Iterator[None]:
    """Within it, layers with float32 variables compute in float32, and not in half precision."""
    policies = [
        (layer, layer.dtype_policy)
        for layer in all_layers(model)
        if layer.compute_dtype in _HALF and layer.variable_dtype == "float32"
    ]
    try:
        for layer, policy in policies:
            mode = policy.quantization_mode
            layer.dtype_policy = (
                "float32" if mode is None else f"{policy.name.rpartition('_from_')[0]}_from_float32"
            )
        yield
    finally:
        for layer, policy in policies:
            layer.dtype_policy = policy


@contextmanager
def _not_rounded(model: Any) -> Iterator[None]:
    """Within it, quantized layers round no inputs, and have every derivative on every backend."""
    if all(layer.dtype_policy.quantization_mode is None for layer in all_layers(model)):
        yield
        return
    with _ONE_AT_A_TIME:  # another thread would find a layer or Keras changed, and put that back
        # Keras' int4 and the layers within a quantized one may have none.
        quantized = [
            layer for layer in all_layers(model) if vars(layer).get("inputs_quantizer") is not None
        ]
        held = [layer.inputs_quantizer for layer in quantized]
        try:
            for layer in quantized:
                vars(layer)["inputs_quantizer"] = None
            with plain_gradients():
                yield
        finally:
            for layer, quantizer in zip(quantized, held, strict=True):
                vars(layer)["inputs_quantizer"] = quantizer
