"""A number of the description in a posterior's file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from keras_priors.utils.export import share


@share
def saved_number(
    config: Mapping[str, Any],
    name: str,
    *,
    optional: bool = False,
    finite: bool = True,
) -> Any:
    """The number of this name; None where that is allowed."""
    if name not in config:
        raise ValueError(f"There must be an entry {name!r}. Received: {sorted(config)}.")
    value = config[name]
    if optional and value is None:
        return None
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or (finite and not math.isfinite(value)):
        raise ValueError(f"The entry {name!r} must be a finite number. Received: {value!r}.")
    return value
