"""Whether a model can do with the NaN and infinity that rows hold."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.functional.pure_outputs import PureOutputs


def check_finite_rows(model: Any, x: Any, before: int = 0) -> None:
    """Refuses NaN and infinity in x where they reach a weight or an output of the model.

    A model may fill them in or mask them, so the rows are put to it: then its outputs are finite,
    and so are their derivatives by its weights. The outputs alone do not tell: `relu` of NaN is 0
    under TensorFlow, and tanh of infinity is 1 everywhere.

    Args:
        model: a built `keras.Model`.
        x: arrays in the structure of its inputs.
        before: integer, the number of the first row.
    """
    bad, leaves = not_finite_rows(x), keras.tree.flatten(x)
    if not len(bad):
        return
    # The first row with each kind in each place stands for all that have it there.
    kinds = [_first_rows(leaf, kind) for leaf in leaves for kind in (np.isnan, np.isinf)]
    some = np.unique(np.concatenate(kinds))
    backend.sync_variables(model)
    if _takes(model, x, some):
        return
    row = next((k for k in some if not _takes(model, x, np.array([k]))), some[0])
    raise ValueError(
        f"`x` must be finite where {model.name} needs it. Received: NaN or infinity in {len(bad)} "
        f"of {len(leaves[0])} rows, first in row {before + int(row)}. Leave these rows out, or "
        "fill them in."
    )


def not_finite_rows(x: Any) -> Any:
    """Numbers of the rows, ascending, with an element that is not finite."""
    rows = [_rows_of(leaf, lambda leaf: ~np.isfinite(leaf)) for leaf in keras.tree.flatten(x)]
    return np.unique(np.concatenate(rows))


def _rows_of(leaf: Any, kind: Any) -> Any:
    """Numbers of the rows with an element of a kind."""
    # The sum is one pass without a copy, and no sum of finite float32 overflows float64.
    if not np.issubdtype(leaf.dtype, np.floating) or np.isfinite(leaf.sum(dtype="float64")):
        return np.zeros(0, "int64")
    return np.flatnonzero(kind(leaf).reshape(len(leaf), -1).any(axis=1))


def _first_rows(leaf: Any, kind: Any) -> Any:
    rows = _rows_of(leaf, kind)
    if not len(rows):
        return rows
    found = kind(leaf[rows]).reshape(len(rows), -1)
    return rows[found.argmax(axis=0)[found.any(axis=0)]]


def _takes(model: Any, x: Any, rows: Any) -> bool:
    """Whether these rows give finite outputs, and derivatives by the weights that are numbers."""
    part = keras.tree.map_structure(lambda leaf: ops.convert_to_tensor(leaf[rows]), x)
    weights = [v for v in model.variables if keras.backend.is_float_dtype(v.dtype)]
    outputs_of = PureOutputs(model, weights)
    fixed = outputs_of.fixed()

    def total(values: Any) -> Any:
        leaves = keras.tree.flatten(outputs_of(values, fixed, part))
        return sum(ops.sum(ops.cast(leaf, "float32")) for leaf in leaves)

    values = [ops.convert_to_tensor(v.value) for v in weights]
    value, slopes = backend.value_and_gradient(total)(values)
    numbers = [not bool(ops.any(ops.isnan(slope))) for slope in slopes]
    return bool(ops.isfinite(value)) and all(numbers)
