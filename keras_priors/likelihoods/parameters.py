"""Checks of the numbers that a likelihood is given, beside those of `utils/parameters.py`.

A number stands for all outputs, a vector has one entry for each.
"""

from typing import Any

import numpy as np

from keras_priors.utils import parameters as shared
from keras_priors.utils.parameters import Number


def positive(owner: str, name: str, value: Any) -> Number:
    """`value` as a float, or a vector of finite numbers above zero, one for each output."""
    number = shared.positive(owner, name, value)
    if np.ndim(number) > 1:
        raise ValueError(
            f"`{name}` of {owner} must be a number, or a vector of numbers, one for each output. "
            f"Received: an array of shape {np.shape(number)}."
        )
    return number


def positive_or_none(owner: str, name: str, value: Any) -> Number | None:
    """As `positive`; None, which says that an output gives it."""
    return None if value is None else positive(owner, name, value)


def flag(owner: str, name: str, value: Any) -> bool:
    """`value` as a bool; nothing else is one."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(
            f"`{name}` of {owner} must be True or False. "
            f"Received: {name}={value!r} of type {type(value).__name__}."
        )
    return bool(value)


def scalar(owner: str, name: str, value: Number) -> float:
    """`value` where it is one number."""
    if isinstance(value, np.ndarray):
        raise ValueError(
            f"`{name}` of {owner} must be one number. Received: an array of shape {value.shape}."
        )
    return value
