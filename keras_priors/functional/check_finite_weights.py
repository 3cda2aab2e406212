"""Weights that are not finite predict nothing."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors.utils.export import share


@share
def check_finite_weights(model: Any, variables: Sequence[Any] | None = None) -> None:
    """Refuse NaN and infinity in the weights of a model, or in some of them.

    Args:
        model: a built `keras.Model`.
        variables: those of its variables that are used. Defaults to None: all.
    """
    used = model.variables if variables is None else variables
    bad = [v.path for v in used if not _is_finite(v)]
    if bad:
        raise ValueError(
            "Weights must be finite to predict with. Received: NaN or infinity in "
            f"{', '.join(bad[:5])} of {model.name}. Load earlier weights, or train anew with a "
            "lower learning rate, and look for NaN in the data."
        )


def check_finite_draws(model: Any, values: Sequence[Any]) -> None:
    """Refuse draws of weights that are NaN or infinite."""
    if not all(_is_finite(value) for value in values):
        raise ValueError(
            "Draws of weights must be finite to predict with. Received: NaN or infinity in the "
            f"draws for {model.name}. Take a file that is whole, or fit anew."
        )


def _is_finite(values: Any) -> bool:
    if not isinstance(values, np.ndarray):
        tensor = ops.convert_to_tensor(values)
        if not keras.backend.is_float_dtype(tensor.dtype):
            return True
        # One sum where the weights are, without a copy to the host. It may overflow: look again.
        if bool(ops.isfinite(ops.sum(ops.cast(tensor, "float32")))):
            return True
        values = ops.convert_to_numpy(tensor).astype("float64")
    # No sum of finite float32 overflows float64.
    return values.dtype.kind != "f" or bool(np.isfinite(values.sum(dtype="float64")))
