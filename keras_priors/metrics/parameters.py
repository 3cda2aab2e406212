"""Checks of what metrics are told to do."""

from typing import Any

from keras_priors.metrics.bins import PARTS
from keras_priors.utils.parameters import number_between, whole_number


def bins_or_none(owner: str, name: str, value: Any) -> int | None:
    """An integer of at least 1, or None for the exact value."""
    return None if value is None else whole_number(owner, name, value)


def part_or_total(part: Any) -> str:
    """The word "total", or a part of the Brier score."""
    return one_of("part", part, ("total", *PARTS))


def one_of(name: str, value: Any, allowed: tuple[str, ...]) -> str:
    """One of these words."""
    if value not in allowed:
        words = ", ".join(map(repr, allowed))
        raise ValueError(f"`{name}` must be one of {words}. Received: {name}={value!r}.")
    return str(value)


def fraction(owner: str, name: str, value: Any, include_high: bool = False) -> float:
    """A float between 0 and 1."""
    if isinstance(value, bool):
        raise TypeError(f"`{name}` of {owner} must be a number. Received: {value!r}.")
    return number_between(owner, name, value, 0.0, 1.0, include_high)
