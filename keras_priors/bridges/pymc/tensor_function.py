"""A function of the backend's tensors as an operation of PyTensor."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import pytensor.tensor as pt
from keras import ops
from pytensor.gradient import DisconnectedType
from pytensor.graph import Apply, Op

from keras_priors import backend

# On JAX it is PyTensor's own operation, which its JAX mode knows and puts into one program with the
# rest of the graph: samplers in JAX run on it.
if keras.config.backend() == "jax":
    from pytensor.link.jax.ops import JAXOp as _Op
else:

    class _Op(Op):  # type: ignore[no-redef]
        """The same for a backend that PyTensor does not know, called from Python."""

        __props__ = ("input_types", "output_types", "function")

        def __init__(
            self, input_types: Any, output_types: Any, function: Callable[..., Any], name: str
        ) -> None:
            self.input_types = tuple(input_types)
            self.output_types = tuple(output_types)
            self.function = function
            self.name = name
            self._compiled = backend.compile_function(function)
            super().__init__()

        def make_node(self, *inputs: Any) -> Apply:
            filtered = [
                each.filter_variable(given)
                for each, given in zip(self.input_types, inputs, strict=True)
            ]
            return Apply(self, filtered, [each() for each in self.output_types])

        def perform(self, node: Any, inputs: Any, outputs: Any) -> None:
            found = self._compiled(*[ops.convert_to_tensor(value) for value in inputs])
            for storage, value, kind in zip(outputs, found, self.output_types, strict=True):
                storage[0] = np.asarray(ops.convert_to_numpy(value), kind.dtype)


class _TensorFunction(_Op):
    """A pure function from tensors to a tuple of float32 tensors, with its gradient."""

    def __init__(
        self, input_types: Any, output_types: Any, function: Callable[..., Any], name: str
    ) -> None:
        super().__init__(input_types, output_types, function, name=name)
        self._of_tensors = function
        self._process = os.getpid()

    def perform(self, node: Any, inputs: Any, outputs: Any) -> None:
        if os.getpid() != self._process:
            # The threads of the backend are not there, and a call would wait for them for ever.
            raise RuntimeError(
                "A Keras model cannot be asked in a forked process: the threads of its backend "
                f"stay behind. Received: a call of {self.name!r} in another process than the one "
                "that made it. Sample with `pm.sample(..., cores=1)`."
            )
        super().perform(node, inputs, outputs)

    def connection_pattern(self, node: Any) -> list[list[bool]]:
        """Whole numbers have no derivative."""
        outputs = len(self.output_types)
        return [[kind.dtype.startswith("float")] * outputs for kind in self.input_types]

    def grad(self, inputs: Any, output_gradients: Any) -> list[Any]:
        """What PyTensor 2 asks for in the place of `pullback`."""
        return self.pullback(inputs, None, output_gradients)

    def pullback(self, inputs: Any, outputs: Any, output_gradients: Any) -> list[Any]:
        """The vector-Jacobian product, itself such a function; of whole numbers there is none."""
        function, number = self._of_tensors, len(inputs)
        connected = [
            k for k, g in enumerate(output_gradients) if not isinstance(g.type, DisconnectedType)
        ]
        moved = [k for k, kind in enumerate(self.input_types) if kind.dtype.startswith("float")]

        def pulled_back(*arguments: Any) -> tuple[Any, ...]:
            values, cotangents = arguments[:number], arguments[number:]

            def contracted(chosen: list[Any]) -> Any:
                full = list(values)
                for k, value in zip(moved, chosen, strict=True):
                    full[k] = value
                found = function(*full)
                return sum(
                    ops.sum(found[k] * c) for k, c in zip(connected, cotangents, strict=True)
                )

            slope = backend.value_and_gradient(contracted)([values[k] for k in moved])[1]
            return tuple(ops.cast(part, "float32") for part in slope)

        op = type(self)(
            [*self.input_types, *(self.output_types[k] for k in connected)],
            [self.input_types[k] for k in moved],
            pulled_back,
            f"gradient of {self.name}",
        )
        slopes = op(*inputs, *(output_gradients[k] for k in connected), return_list=True)
        known = dict(zip(moved, slopes, strict=True))
        return [known.get(k, DisconnectedType()()) for k in range(number)]


def tensor_function(
    function: Callable[..., Any], arguments: Sequence[Any], shapes: Sequence[Any], name: str
) -> list[Any]:
    """PyTensor variables of function(*arguments), a tuple of float tensors.

    Args:
        function: a pure function of float32 and int32 tensors.
        arguments: what PyTensor makes variables of.
        shapes: the shape of each output, None where a size may change.
        name: what it is in a graph.
    """
    variables = [pt.as_tensor(argument) for argument in arguments]
    # In its own precision a net is as fast as in Keras; the sums around it are PyMC's.
    variables = [
        pt.cast(v, "float32" if v.dtype.startswith("float") else "int32") for v in variables
    ]

    def in_float32(*values: Any) -> tuple[Any, ...]:
        return tuple(ops.cast(each, "float32") for each in function(*values))

    types = [pt.TensorType("float32", tuple(shape)) for shape in shapes]
    op = _TensorFunction([v.type for v in variables], types, in_float32, name)
    return [pt.cast(v, "floatX") for v in op(*variables, return_list=True)]
