"""Functions that look to Keras as the `call` of a layer."""

import inspect
from collections.abc import Callable
from typing import Any


def with_signature_of(layer: Any, run: Callable[..., Any]) -> Callable[..., Any]:
    """`run` with the signature of the layer's `call`, and `training` where that has none."""
    signature = inspect.signature(layer.call)
    parameters = list(signature.parameters.values())
    if "training" not in signature.parameters:
        more = inspect.Parameter("training", inspect.Parameter.KEYWORD_ONLY, default=None)
        catches = bool(parameters) and parameters[-1].kind is inspect.Parameter.VAR_KEYWORD
        parameters.insert(len(parameters) - catches, more)

    def call(*args: Any, **kwargs: Any) -> Any:
        return run(*args, **kwargs)

    vars(call)["__signature__"] = signature.replace(parameters=parameters)
    return call
