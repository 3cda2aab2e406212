"""The shapes of a model's outputs."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import keras

from keras_priors.utils.export import share
from keras_priors.utils.keras_internals import output_keys

Shape = tuple[int | None, ...]


@share
def output_shapes(model: Any, x: Any = None) -> dict[str, Shape] | list[Shape] | None:
    """Shapes of the outputs of a built model, by name or in order; None where they are not known.

    A size that may differ from batch to batch is None. A subclassed model says nothing of its
    outputs: it is called without data, on the shapes of what the running `fit` was given; and where
    that is no array, on those that it was built with, of which only the number of axes is sure.

    Args:
        model: a built `keras.Model`.
        x: rows, arrays or what else has shapes and dtypes. Then the shapes are those of the
            outputs for these rows, where the model can be called on them. Defaults to None.
    """
    if x is not None:
        found = _called_on(model, lambda _: _symbolic(x))
        if found is not None:
            return found
    outputs = getattr(model, "outputs", None)
    if outputs:
        shapes = [tuple(output.shape) for output in outputs]
        if any(None in shape[1:] for shape in shapes):
            found = _called_on(model, _arrays_of_fit)
            shapes = found if isinstance(found, list) and len(found) == len(shapes) else shapes
        names = output_keys(model) or getattr(model, "output_names", None)
        # Outputs of one layer have one name.
        if names is None or len(set(names)) != len(shapes):
            return shapes
        return dict(zip(names, shapes, strict=True))
    found = _called_on(model, _arrays_of_fit)
    if found is not None:
        return found
    found = _called_on(model, _built_with)
    if isinstance(found, dict):
        return {name: _unsure(shape) for name, shape in found.items()}
    return None if found is None else [_unsure(shape) for shape in found]


def _unsure(shape: Shape) -> Shape:
    return (None, *(None for _ in shape[1:-1]), *shape[-1:]) if len(shape) > 1 else shape


def _arrays_of_fit(model: Any) -> Any:
    frame = running_fit()
    if frame is None or frame.f_locals["self"] is not model:
        return None
    return _symbolic(frame.f_locals.get("x"))


def _symbolic(x: Any) -> Any:
    leaves = keras.tree.flatten(x)
    if not leaves or any(getattr(leaf, "dtype", None) is None for leaf in leaves):
        return None
    return keras.tree.map_structure(
        lambda a: keras.KerasTensor((None, *a.shape[1:]), keras.backend.standardize_dtype(a.dtype)),
        x,
    )


def _built_with(model: Any) -> Any:
    config = model.get_build_config() or {}
    shape = config.get("input_shape")
    if shape is None:
        return None
    # Several inputs have a structure of shapes.
    return keras.tree.map_shape_structure(
        lambda one: keras.KerasTensor(one, model.compute_dtype), shape
    )


def _called_on(
    model: Any, inputs_of: Callable[[Any], Any]
) -> dict[str, Shape] | list[Shape] | None:
    try:
        inputs = inputs_of(model)
        if inputs is None:
            return None
        outputs = model.compute_output_spec(inputs)
    except Exception:  # noqa: BLE001 - a user's code, asked for advice: then it has none
        return None
    if isinstance(outputs, dict):
        return {name: tuple(output.shape) for name, output in outputs.items()}
    return [tuple(output.shape) for output in keras.tree.flatten(outputs)]


@share
def running_fit() -> FrameType | None:
    """The innermost `fit` on the call stack, which called this callback; or None."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name == "fit" and isinstance(frame.f_locals.get("self"), keras.Model):
            return frame
        frame = frame.f_back
    return None
