"""Checks of the numbers that a prior, posterior or likelihood is given, and their configs."""

import base64
from typing import Any

import keras
import numpy as np
from keras import ops

Number = float | np.ndarray
"""A parameter as it is kept: a Python float, or a float64 array."""

# Longer arrays are written as text of their bytes: of 10 million weights, 0.5 s and 51 MiB in
# place of 14 s and 212 MiB of numbers in JSON.
_MOST_NUMBERS = 64

# Beyond, the square or its inverse is infinite in float32, and a density at 0 not a number.
_LEAST, _MOST = 1e-18, 1e18

# Keras makes a tensor of it, and PyTorch one of int32.
_LARGEST_SEED = 2**31 - 1


def real(owner: str, name: str, value: Any) -> Number:
    """`value` as a float or an array of finite real numbers."""
    if isinstance(value, (str, bytes, bool)) or value is None:
        raise TypeError(
            f"`{name}` of {owner} must be a number or an array of numbers. "
            f"Received: {name}={value!r} of type {type(value).__name__}. Write, for example, "
            f"{name}=1.0."
        )
    if isinstance(value, keras.Variable):
        raise TypeError(
            f"`{name}` of {owner} is a constant, of which nothing is learned. Received: a "
            f"keras.Variable, {value.path}. Write its value, float(...); for noise to be learned, "
            "end the model with keras_priors.layers.NoiseScale() and take the likelihood "
            "HeteroscedasticNormal(); for the scale of a prior, keras_priors.Learnable in "
            "a variational layer."
        )
    value = _decoded(value)
    try:
        array = ops.convert_to_numpy(value) if ops.is_tensor(value) else np.asarray(value)
        # Kinds: booleans, complex numbers, objects, texts. NumPy would turn ["1"] into a number.
        if array.dtype.kind in "bcOSU":
            raise TypeError(f"array of dtype {array.dtype}")
        array = array.astype("float64")
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"`{name}` of {owner} must be a number or an array of numbers. "
            f"Received: {name}={value!r} of type {type(value).__name__}. Write, for example, "
            f"{name}=1.0, or an array of numbers of one type."
        ) from error
    if array.size == 0:
        raise ValueError(
            f"`{name}` of {owner} must be at least one number, not empty. "
            f"Received: {name}={value!r}. Write, for example, {name}=1.0."
        )
    if not np.all(np.isfinite(array)):
        raise ValueError(
            f"`{name}` of {owner} must be finite. Received: {name}={value!r}. Look for the "
            "computation that gave it, and put a number in place of each NaN and infinity."
        )
    return float(array) if array.ndim == 0 else array


def positive(owner: str, name: str, value: Any) -> Number:
    """`value` as a float or an array of finite numbers above zero."""
    number = real(owner, name, value)
    if not np.all(np.asarray(number) > 0):
        raise ValueError(
            f"`{name}` of {owner} must be greater than 0 everywhere. Received: {name}={value!r}. "
            f"Write, for example, {name}=1.0."
        )
    if not np.all((np.asarray(number) >= _LEAST) & (np.asarray(number) <= _MOST)):
        raise ValueError(
            f"`{name}` of {owner} must lie between {_LEAST:.0e} and {_MOST:.0e}: beyond, "
            f"float32 does not hold its square. Received: {name}={value!r}. Rescale the weights."
        )
    return number


def one_positive(owner: str, name: str, value: Any) -> float:
    """`value` as one float greater than 0."""
    number = positive(owner, name, value)
    if not isinstance(number, float):
        raise ValueError(f"`{name}` of {owner} must be one number. Received: {name}={value!r}.")
    return number


def number_between(
    owner: str, name: str, value: Any, low: float, high: float, include_high: bool = False
) -> float:
    """A float in (low, high), or (low, high]."""
    found = real(owner, name, value)
    if (
        not isinstance(found, float)
        or not low < found
        or not (found <= high if include_high else found < high)
    ):
        bounds = f"({low:g}, {high:g}{']' if include_high else ')'}"
        raise ValueError(f"`{name}` of {owner} must be a number in {bounds}. Received: {value!r}.")
    return found


def bound(owner: str, name: str, value: Any, missing: float) -> Number:
    """`value` as a float or an array of numbers that may be infinite; `missing` where None."""
    if value is None:
        return missing
    value = _decoded(value)
    array = np.asarray(value)
    if array.dtype.kind not in "fiu":
        return real(owner, name, value)  # raises
    infinite = np.isinf(array)
    number = real(owner, name, np.where(infinite, 0.0, array))
    if not np.any(infinite):
        return number
    array = np.where(infinite, array, number).astype("float64")
    return float(array) if array.ndim == 0 else array


def check_ordered(owner: str, low: Number, high: Number) -> None:
    """Refuse bounds that are crossed or equal anywhere."""
    if not np.all(np.asarray(low) < np.asarray(high)):
        raise ValueError(
            f"`low` of {owner} must be less than `high` everywhere. "
            f"Received: low={low!r} and high={high!r}. Exchange them, or move them apart."
        )


def check_broadcast(owner: str, **parameters: Number) -> None:
    """Refuse parameters whose shapes do not broadcast against each other."""
    shapes = {name: np.shape(value) for name, value in parameters.items()}
    try:
        np.broadcast_shapes(*shapes.values())
    except ValueError as error:
        raise ValueError(
            f"The parameters of {owner} must broadcast against each other. "
            f"Received shapes: {shapes}. Give numbers, or arrays of the shape of the weight."
        ) from error


def whole_number(owner: str, name: str, value: Any) -> int:
    """`value` as an integer of at least 1."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(
            f"`{name}` of {owner} must be an integer of at least 1. "
            f"Received: {name}={value!r} of type {type(value).__name__}. Write, for example, "
            f"{name}=1, or int(...) around a number."
        )
    if value < 1:
        raise ValueError(
            f"`{name}` of {owner} must be an integer of at least 1. Received: {name}={value}. "
            f"Write, for example, {name}=1."
        )
    return int(value)


def seed_or_none(owner: str, value: Any) -> int | None:
    """`value` as an integer from 0 to 2^31 - 1, or None: the rule for every seed that is kept."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(
            f"`seed` of {owner} must be an integer of at least 0, or None for a fresh one. "
            f"Received: seed={value!r} of type {type(value).__name__}. Write, for example, seed=0."
        )
    if value < 0:
        raise ValueError(
            f"`seed` of {owner} must be an integer of at least 0, or None for a fresh one. "
            f"Received: seed={value}. Write, for example, seed={-int(value) & _LARGEST_SEED}."
        )
    if value > _LARGEST_SEED:
        raise ValueError(
            f"`seed` of {owner} must be at most 2^31 - 1 = {_LARGEST_SEED}, which Keras takes on "
            f"every backend. Received: seed={value}. Write, for example, "
            f"seed={int(value) & _LARGEST_SEED}."
        )
    return int(value)


def tensor(value: Any, dtype: Any) -> Any:
    """An array as a tensor, narrowed before it is one: no float64 enters a training step."""
    dtype = keras.backend.standardize_dtype(dtype)
    narrow = dtype if dtype in ("float16", "float64") else "float32"
    return ops.convert_to_tensor(np.asarray(value, narrow), dtype=dtype)


def constant(value: Any, dtype: Any) -> Any:
    """A number as a Python float, which costs the compiled step nothing; an array as a tensor."""
    return float(value) if np.ndim(value) == 0 else tensor(value, dtype)


def to_config(value: Any) -> Any:
    """`value` in a form that JSON keeps exactly, and that the checks above read back."""
    if not isinstance(value, np.ndarray):
        return value
    if value.size <= _MOST_NUMBERS:
        return value.tolist()
    with np.errstate(over="ignore"):
        small = value.astype("float32")
    exact = small if np.array_equal(small, value) else value.astype("float64")
    little = np.ascontiguousarray(exact, exact.dtype.newbyteorder("<"))
    text = base64.b64encode(little.tobytes()).decode("ascii")
    return {"base64": text, "dtype": exact.dtype.name, "shape": list(value.shape)}


def _decoded(value: Any) -> Any:
    if not (isinstance(value, dict) and value.keys() == {"base64", "dtype", "shape"}):
        return value
    if value["dtype"] not in ("float32", "float64"):
        raise ValueError(
            "An array in a configuration has the dtype float32 or float64. "
            f"Received: {value['dtype']!r}. The configuration is damaged; take it from the model."
        )
    dtype = np.dtype(value["dtype"]).newbyteorder("<")
    return np.frombuffer(base64.b64decode(value["base64"]), dtype).reshape(value["shape"])
