"""What a search for a temperature gives."""

from __future__ import annotations

from typing import Any, NamedTuple

from keras_priors.inference.table import Table
from keras_priors.utils.export import export


@export()
class TunedTemperature(NamedTuple):
    """What `tune_temperature` returns.

    Example:
        >>> import keras_priors as kp
        >>> table = kp.inference.Table({"1": {"nll": 0.5}})
        >>> kp.inference.TunedTemperature(1.0, None, table).temperature
        1.0
    """

    temperature: float
    """That of the lowest negative log density of the rows it was judged by."""
    fitted: Any
    """What `fit` gave at it."""
    table: Table
    """The curve: what `compare` says of each temperature, by the name "0.1"."""
