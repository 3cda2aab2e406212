"""Checks of the numbers that a likelihood is given.

Beside `priors/_parameters.py`, because priors and likelihoods do not import each other. A number
stands for all outputs, a vector has one entry for each.
"""

from typing import Any

import numpy as np
from keras import ops

Number = float | np.ndarray
"""A parameter as it is kept: a Python float, or a float64 vector."""


def positive(owner: str, name: str, value: Any) -> Number:
    """`value` as a float, or a vector of finite numbers above zero, one for each output."""
    rule = f"`{name}` of {owner} must be a number, or a vector of numbers, one for each output."
    received = f"Received: {name}={value!r} of type {type(value).__name__}."
    if isinstance(value, (str, bytes, bool)) or value is None:
        raise TypeError(f"{rule} {received}")
    try:
        array = np.asarray(value, dtype="float64")
    except (TypeError, ValueError) as error:
        raise TypeError(f"{rule} {received}") from error
    if array.ndim > 1 or array.size == 0:
        raise ValueError(f"{rule} Received: an array of shape {array.shape}.")
    if not np.all(np.isfinite(array) & (array > 0)):
        raise ValueError(
            f"`{name}` of {owner} must be finite and greater than 0 everywhere. "
            f"Received: {name}={value!r}."
        )
    return float(array) if array.ndim == 0 else array


def flag(owner: str, name: str, value: Any) -> bool:
    """`value` as a bool; nothing else is one."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(
            f"`{name}` of {owner} must be True or False. "
            f"Received: {name}={value!r} of type {type(value).__name__}."
        )
    return bool(value)


def constant(value: Any, dtype: str) -> Any:
    """A number as a Python float, which costs the compiled step nothing; a vector as a tensor."""
    return float(value) if np.ndim(value) == 0 else ops.convert_to_tensor(value, dtype=dtype)


def scalar(owner: str, name: str, value: Number) -> float:
    """`value` where it is one number."""
    if isinstance(value, np.ndarray):
        raise ValueError(
            f"`{name}` of {owner} must be one number. Received: an array of shape {value.shape}."
        )
    return value
