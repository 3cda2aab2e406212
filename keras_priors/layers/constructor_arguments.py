"""The constructor arguments of a twin: those of the Keras layer, and ours."""

import inspect
from collections.abc import Iterator
from typing import Any

from keras_priors.utils.export import share
from keras_priors.utils.keras_internals import is_keras_class

# Arguments of Keras layers that change weights after they are made.
UNSUPPORTED = ("lora_rank", "lora_alpha", "gptq_unpacked_column_size", "quantization_config")


def give_signature(twin: Any) -> None:
    """Make `help` and editors see the arguments that `bind_arguments` takes."""
    init = vars(twin).get("__init__")
    if init is None:

        def init(self: Any, *args: Any, **kwargs: Any) -> None:
            super(twin, self).__init__(*args, **kwargs)

        init.__qualname__, init.__module__ = f"{twin.__qualname__}.__init__", twin.__module__
        twin.__init__ = init
    first = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    init.__signature__ = inspect.Signature([first, *_parameters(twin)])


def bind_arguments(twin: Any, args: Any, kwargs: Any) -> dict[str, Any]:
    """All arguments by name, with defaults where they are not given."""
    refused = {name: kwargs[name] for name in UNSUPPORTED if name in kwargs}
    kwargs = {name: value for name, value in kwargs.items() if name not in refused}
    try:
        bound = inspect.Signature(list(_parameters(twin))).bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(f"{twin.__name__}: {error}.") from error
    bound.apply_defaults()
    others = bound.arguments.pop("kwargs")
    return {**bound.arguments, **others, **refused}


@share
def keras_layer_of(twin: Any) -> Any:
    """The Keras layer that a twin inherits from."""
    return next(cls for cls in twin.__mro__ if is_keras_class(cls))


def _parameters(twin: Any) -> Iterator[inspect.Parameter]:
    """Keras' arguments in Keras' order, then ours by keyword."""
    for parameter in inspect.signature(keras_layer_of(twin).__init__).parameters.values():
        named = parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
        if named and parameter.name not in ("self", *UNSUPPORTED):
            yield parameter
    keyword = inspect.Parameter.KEYWORD_ONLY
    for name in twin.weight_arguments.values():
        yield inspect.Parameter(f"{name}_prior", keyword, default=None)
    for name in twin.weight_arguments.values():
        yield inspect.Parameter(f"{name}_posterior", keyword, default="mean_field")
    yield inspect.Parameter("estimator", keyword, default="reparameterization", annotation=str)
    yield inspect.Parameter("num_data", keyword, default=None, annotation=int | None)
    yield inspect.Parameter("temperature", keyword, default=1.0, annotation=float)
    yield inspect.Parameter("kl_samples", keyword, default=1, annotation=int)
    yield inspect.Parameter("seed", keyword, default=None, annotation=int | None)
    yield inspect.Parameter("kwargs", inspect.Parameter.VAR_KEYWORD)
