"""What a fit would gain if it went on."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_priors.utils.export import share

_LEAST = 4


@share
def gain_of_epochs(values: Any) -> tuple[float, float]:
    """(how much higher the last of a rising series were after as many epochs again, its error).

    By the straight line through the last third; (0, inf) for fewer than 12 epochs.

    Args:
        values: the ELBO or the log posterior of each epoch, nats.
    """
    if len(values) < 3 * _LEAST:
        return 0.0, np.inf
    return gain_of_line(np.asarray(values, "float64")[-(len(values) // 3) :])


def gain_of_line(parts: Any) -> tuple[float, float]:
    """What a straight line through the parts of a last third gains in three times as long."""
    time = (np.arange(len(parts)) + 0.5) / len(parts) - 0.5
    squares = float(time @ time)
    slope = float(time @ parts) / squares
    left = parts - parts.mean() - slope * time
    return 3 * slope, 3 * float(np.sqrt(left @ left / (len(parts) - 2) / squares))
