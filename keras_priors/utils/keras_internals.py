"""All that is asked of Keras by names that it does not document: a new Keras breaks one file.

Each function says what is needed, and `tests/utils/test_keras_internals.py` what each gives.
"""

import contextlib
import importlib
import random
import threading
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import keras

# What Keras walks over when it saves a model: the base of layers, losses and metrics.
Saveable: Any = keras.losses.Loss.__base__


def all_layers(layer: Any, include_self: bool = True) -> list[Any]:
    """The layer or model and every layer below it; of wrappers and RNNs the inner ones and cells.

    `model.layers` stops at the first level, and `clone_model` sees a wrapper as one layer;
    Keras collects losses and weights with this method.
    """
    return list(layer._flatten_layers(include_self=include_self, recursive=True))


def inner_layers(layer: Any) -> Sequence[Any]:
    """The layers directly below one."""
    found: Sequence[Any] = layer._layers
    return found


def own_weights(layer: Any) -> Sequence[Any]:
    """The trainable variables that a layer made itself, frozen ones too."""
    found: Sequence[Any] = layer._trainable_variables
    return found


def own_state(layer: Any) -> Sequence[Any]:
    """The variables that a layer made itself and that no gradient moves."""
    found: Sequence[Any] = layer._non_trainable_variables
    return found


def seed_generators(layer: Any) -> Sequence[Any]:
    """The seed generators of a layer itself."""
    found: Sequence[Any] = layer._seed_generators
    return found


def set_first_seed(generator: Any, seed: int) -> None:
    """Note the seed of a generator whose state was set.

    Without one, Keras' Dropout on PyTorch draws from PyTorch's global generator.
    """
    generator._initial_seed = seed


@contextlib.contextmanager
def seeded_initializers(seed: int) -> Iterator[None]:
    """Initializers that have no seed take theirs from Python's `random`, which begins here anew.

    It goes on afterwards as if nothing had been.
    """
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)


@cache
def functional_class() -> type:
    """The class of Functional models, for which Keras exports no name."""
    x = keras.Input((1,))
    # With a layer between: Keras before 3.14 does not take an input as the output.
    return type(keras.Model(x, keras.layers.Identity()(x)))


def functional_graph(model: Any) -> Any:
    """The model whose tensors make the graph: of a Sequential that within it; None without one."""
    found = model._functional if isinstance(model, keras.Sequential) else model
    return None if vars(found).get("_outputs_struct") is None else found


def output_keys(model: Any) -> list[str] | None:
    """The keys of a functional model whose outputs are a dict, in the order of `outputs`.

    By them Keras pairs outputs with losses; `output_names` are names of layers.
    """
    graph = functional_graph(model)
    structure = None if graph is None else graph._outputs_struct
    if not isinstance(structure, dict):
        return None
    of = {id(tensor): key for key, tensor in structure.items()}
    keys = [of.get(id(tensor)) for tensor in model.outputs]
    return None if None in keys else [str(key) for key in keys]


def maker_of(tensor: Any) -> tuple[Any, list[Any]]:
    """(the layer that made a tensor of a graph, the tensors that it was called on)."""
    layer, node, _ = tensor._keras_history
    return layer, keras.tree.flatten(layer._inbound_nodes[node].input_tensors)


def loss_weights(model: Any) -> Any:
    """The `loss_weights` that a compiled model was given: Keras keeps them nowhere else."""
    return model._compile_loss._user_loss_weights


def user_metrics(model: Any) -> list[Any]:
    """The `metrics` that a compiled model was given, flat: Keras keeps them nowhere else."""
    given = model._compile_metrics and model._compile_metrics._user_metrics
    return [] if given is None else keras.tree.flatten(given)


def adds_losses(layer: Any) -> bool:
    """Whether a layer itself has called `add_loss`, or has an activity regularizer at work."""
    return bool(layer._losses or layer._loss_ids)


def copy_called(source: Any, target: Any) -> None:
    """Mark a model as called where the other was: Keras exports to ONNX only what was."""
    target._called = source._called


def index_of(optimizer: Any, variable: Any) -> int:
    """The number of a variable among those of an optimizer."""
    return int(optimizer._get_variable_index(variable))


def trained_by(optimizer: Any) -> Sequence[Any]:
    """The variables that a built optimizer trains, in the order of their numbers."""
    found: Sequence[Any] = optimizer._trainable_variables
    return found


def build_optimizer(model: Any) -> None:
    """Build the optimizer of a built model, as `fit` has before its callbacks on JAX and PyTorch.

    On TensorFlow it does so within the first step. Variables belong to the strategy that the model
    was made under, which only TensorFlow's models have.
    """
    strategy = vars(model).get("_distribute_strategy")
    with contextlib.nullcontext() if strategy is None else strategy.scope():
        model.optimizer.build(model.trainable_variables)


@contextlib.contextmanager
def plain_gradients() -> Iterator[None]:
    """Within it, and this thread, Keras' layers leave derivatives to the backend.

    Quantized layers write their first one themselves, by `ops.custom_gradient`: JAX has then no
    forward mode, and PyTorch neither `torch.func` nor `vmap`.
    """
    # Its attributes are what Keras' layers call; `keras.ops` has copies.
    ops: Any = importlib.import_module("keras.src.ops")
    theirs, thread = ops.custom_gradient, threading.get_ident()

    def custom_gradient(function: Any) -> Any:
        if threading.get_ident() != thread:
            return theirs(function)
        return lambda *args, **kwargs: function(*args, **kwargs)[0]

    ops.custom_gradient = custom_gradient
    try:
        yield
    finally:
        ops.custom_gradient = theirs


def is_keras_class(cls: type) -> bool:
    """Whether a class is Keras' own."""
    return cls.__module__.startswith("keras.src.")
