"""PyTorch: ONNX by its tracer, and programs of `torch.export`."""

import warnings
from collections.abc import Callable
from typing import Any

import keras
import torch
from torch.overrides import TorchFunctionMode

from keras_priors.backend.torch.calculus import vectorize
from keras_priors.backend.torch.loops import map_draws


def export_formats() -> tuple[str, ...]:
    return ("onnx", "torch")


def map_for_export(function: Callable[[Any], Any], elements: Any, target: str) -> Any:
    # The tracer of ONNX sees no `vmap`.
    if target == "onnx":
        return map_draws(function, elements)
    return vectorize(function)(elements)


def repeat_for_export(count: int, function: Callable[[Any, Any], Any], state: Any) -> Any:
    # The tracer of ONNX writes a loop out, as PyTorch's own does a loop of Python.
    if not torch.compiler.is_exporting():
        for k in range(count):
            state = function(k, state)
        return state
    start = torch.zeros((), dtype=torch.int64)
    # No tensor of the state may be another's memory.
    given = start, *(torch.clone(each) for each in state)
    _, *state = torch.while_loop(
        lambda k, *_: k < count, lambda k, *each: (k + 1, *function(k, each)), given
    )
    return tuple(state)


def export_model(model: Any, path: str, target: str, signature: Any) -> None:
    model.requires_grad_(False)
    flat = _Flat(model, signature)
    specs = keras.tree.flatten(signature)
    # Two rows: a size of one would be taken for a constant.
    samples = tuple(
        torch.zeros([2 if n is None else n for n in spec.shape], dtype=getattr(torch, spec.dtype))
        for spec in specs
    )
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of the libraries that trace and convert
        if target == "torch":
            axes: Any = [
                {
                    k: torch.export.Dim("batch" if k == 0 else f"size_{j}_{k}")
                    for k, size in enumerate(spec.shape)
                    if size is None
                }
                for j, spec in enumerate(specs)
            ]
            # One positional argument for all of `*inputs`.
            program = torch.export.export(
                flat, samples, dynamic_shapes=(tuple(axes),), strict=False
            )
            torch.export.save(program, path)
            return
        names = list(flat(*samples))
        given = [spec.name or f"input_{k}" for k, spec in enumerate(specs)]
        dynamic = {
            name: {k: f"{name}_{k}" for k, size in enumerate(spec.shape) if size is None}
            for name, spec in zip(given, specs, strict=True)
        }
        with _OnnxHasIt():
            torch.onnx.export(
                _Values(flat),
                samples,
                path,
                input_names=given,
                output_names=names,
                dynamic_axes={**dynamic, **{name: {0: "batch"} for name in names}},
                # The newer exporter takes a sum over a size that is not known for an error.
                dynamo=False,
            )


class _OnnxHasIt(TorchFunctionMode):
    """What ONNX has no operator for, by others, as the tracer comes by."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (torch.expm1, torch.Tensor.expm1):
            # Of a small x too: tanh(x / 2) has all its digits there.
            return torch.tanh(0.5 * args[0]) * (torch.exp(args[0]) + 1.0)
        if func in (torch.ravel, torch.Tensor.ravel):
            return torch.reshape(args[0], (-1,))
        return func(*args, **(kwargs or {}))


class _Flat(torch.nn.Module):
    """The model as a function of its inputs one by one."""

    def __init__(self, model: Any, structure: Any) -> None:
        super().__init__()
        # In a tuple, unseen: the graph has Keras' tensors as constants, and each parameter of a
        # module would be stored a second time.
        self._held = (model,)
        self._structure = structure

    def forward(self, *inputs: Any) -> Any:
        return self._held[0](keras.tree.pack_sequence_as(self._structure, list(inputs)))


class _Values(torch.nn.Module):
    """What a model gives by name, in order."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self._model = model

    def forward(self, *inputs: Any) -> Any:
        return tuple(self._model(*inputs).values())
