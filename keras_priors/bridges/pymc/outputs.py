"""The output of a model as a tensor of PyMC."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.bridges.library import library
from keras_priors.functional.as_array import as_array
from keras_priors.functional.check_built import check_built
from keras_priors.functional.check_inputs import check_inputs
from keras_priors.functional.positions import Positions
from keras_priors.functional.pure_outputs import PureOutputs
from keras_priors.utils.export import export


@export()
def outputs(model: Any, x: Any, weights: Mapping[str, Any]) -> Any:
    """f(x; w), the output of a Keras model with `training=False`, as a PyTensor variable.

    Any likelihood and any other part of a PyMC model may stand on it. It is differentiable in the
    weights and in inputs that are numbers: on JAX it is PyTensor's `JAXOp`, and part of one program
    with `nuts_sampler="numpyro"` or "blackjax"; on TensorFlow and PyTorch an operation that PyMC's
    own samplers call from Python. The net computes in float32.

    Weights that are not trained, and moving statistics, are those that the model has now.

    Args:
        model: built `keras.Model` without variational layers, not changed.
        x: inputs, in the structure of the model's inputs: arrays, or PyTensor variables such as
            `pm.Data` (whose rows may be changed by `pm.set_data`), `pm.Minibatch`, or random
            variables.
        weights: mapping from path to a variable or an array of its shape, as
            `keras_priors.bridges.pymc.weights` gives it; scales in it are left out.

    Returns:
        A variable of shape (rows, ...), or the structure of the outputs with one at each.

    Raises:
        ModuleNotFoundError: without PyMC.
        ValueError: a model that is not built or has variational layers; a weight that is missing,
            unknown or of another shape.

    Example:
        >>> import keras, numpy as np
        >>> import keras_priors as kp
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(
        ...     1, use_bias=False, kernel_regularizer=kp.NormalPrior(0, 1), name="line")])
        >>> x = np.array([[1.0, 2.0]])
        >>> f = kp.bridges.pymc.outputs(model, x, {"line/kernel": np.array([[3.0], [4.0]])})
        >>> f.eval().tolist()
        [[11.0]]
    """
    library("pymc")
    from pytensor.graph import Variable

    from keras_priors.bridges.pymc.tensor_function import tensor_function

    check_built("outputs", model)
    backend.sync_variables(model)
    positions = Positions(model)
    number = min((scaled.scale for scaled in positions.scaled), default=len(positions.paths))
    given = _checked(positions, number, weights)
    pure = PureOutputs(model, positions.variables[:number])
    fixed = pure.fixed()

    leaves = [v if isinstance(v, Variable) else as_array(v) for v in keras.tree.flatten(x)]
    variables = [leaf for leaf in leaves if isinstance(leaf, Variable)]
    x = keras.tree.pack_sequence_as(x, leaves)
    if not variables:
        check_inputs(model, x)
    # What does not change is a constant of the function, and not handed over at each call.
    constants = [
        None if isinstance(leaf, Variable) else ops.convert_to_tensor(leaf) for leaf in leaves
    ]

    def of_weights(*arguments: Any) -> tuple[Any, ...]:
        moving = iter(arguments[number:])
        rows = [next(moving) if array is None else array for array in constants]
        found = pure(arguments[:number], fixed, keras.tree.pack_sequence_as(x, rows))
        return tuple(keras.tree.flatten(found))

    spec = model.compute_output_spec(keras.tree.map_structure(_symbolic, x))
    counts = {_shape(leaf)[0] for leaf in leaves}
    count = counts.pop() if len(counts) == 1 else None
    found = tensor_function(
        of_weights,
        [*given, *variables],
        [(count, *part.shape[1:]) for part in keras.tree.flatten(spec)],
        f"outputs of {model.name}",
    )
    return keras.tree.pack_sequence_as(spec, found)


def _shape(value: Any) -> tuple[int | None, ...]:
    """The shape of an array, or of a variable, None where it may change."""
    return tuple(value.shape if isinstance(value, np.ndarray) else value.type.shape)


def _symbolic(leaf: Any) -> Any:
    floating = "float" in str(leaf.dtype)
    return keras.KerasTensor((None, *_shape(leaf)[1:]), "float32" if floating else "int32")


def _checked(positions: Positions, number: int, weights: Mapping[str, Any]) -> list[Any]:
    from pytensor.graph import Variable

    paths = positions.paths[:number]
    missing = [path for path in paths if path not in weights]
    unknown = [path for path in weights if path not in positions.paths]
    if missing or unknown:
        raise ValueError(
            f"`weights` must have a variable for each weight: {list(paths)}. Received: a mapping "
            f"without {missing} and with the unknown {unknown}. Take what "
            "keras_priors.bridges.pymc.weights(model) gives."
        )
    found = [weights[path] for path in paths]
    for path, shape, value in zip(paths, positions.shapes, found, strict=False):
        known = _shape(value) if isinstance(value, Variable) else np.shape(value)
        same = len(known) == len(shape) and all(
            a in (None, b) for a, b in zip(known, shape, strict=True)
        )
        if not same:
            raise ValueError(
                f"{path} must have the shape {shape}. Received: a variable of shape {known}."
            )
    return found
