"""Whether a trace of the ELBO has stopped to rise, or has fallen."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_priors.inference.gain_of_epochs import gain_of_line
from keras_priors.utils.export import share
from keras_priors.utils.warn import warn

# Parts of a trace whose medians are compared, and their fewest.
_PARTS, _LEAST = 20, 10
# What an ELBO may still rise in a run as long again, or fall: in nats, and in nats for each weight
# where that is more.
_RISE, _RISE_EACH = 1.0, 0.01
_FALL, _FALL_EACH = 10.0, 1.0


def expected_gain(elbo: Any) -> tuple[float, float]:
    """(how much higher the ELBO would be after as many steps again, its standard error), in nats.

    By a straight line through the last third: through the medians of 20 parts of it, which a
    single draw far out does not move. The error is that of the line's slope, from what the line
    leaves of them. Where a trace is too short to tell (fewer than 180 steps) it is (0, inf).
    """
    third = np.asarray(elbo, "float64")[-(len(elbo) // 3) :]
    if len(elbo) < 9 * _PARTS:
        return 0.0, np.inf
    return gain_of_line(np.array([np.median(part) for part in np.array_split(third, _PARTS)]))


def rises(elbo: Any, size: int) -> bool:
    """Whether a run as long again, which rises as the last third does, would gain something."""
    return is_gain(*expected_gain(elbo), size)


@share
def is_gain(gain: float, error: float, size: int) -> bool:
    """Whether a gain in nats is more than its noise, and than 1 nat or 0.01 nats a weight."""
    return gain > max(_RISE, _RISE_EACH * size, 2 * error)


def check_convergence(owner: str, elbo: Any, size: int, rate: float) -> None:
    """Refuses a search that has left its start for worse; warns of one that was still rising.

    Args:
        owner: name of the method.
        elbo: array, the ELBO of each step of this search, nats.
        size: integer, D.
        rate: float, the learning rate, for the advice.
    """
    elbo = np.asarray(elbo, "float64")
    tenth = len(elbo) // 10
    if tenth >= _LEAST:
        first, last = elbo[:tenth], elbo[-tenth:]
        error = np.sqrt((first.var() + last.var()) / tenth)
        fall = float(np.median(first) - np.median(last))
        if fall > max(_FALL, _FALL_EACH * size) + 5 * error:
            raise ValueError(
                f"The ELBO of {owner} must not end far below its start. Received: a median of "
                f"{np.median(last):.6g} nats over the last {tenth} steps, after "
                f"{np.median(first):.6g} over the first: the search has diverged. Lower "
                f"`learning_rate` (now {rate:g}), take more `num_samples`, or start at trained "
                "weights."
            )
    if rises(elbo, size):
        gain, error = expected_gain(elbo)
        warn(
            f"{owner} has found its q where the ELBO no longer rises. Received: an ELBO that would "
            f"gain {gain:.3g} nats (standard error {error:.2g}) in {len(elbo)} steps more if it "
            "rose as over the last third of them. Give more `num_steps`, go "
            "on by `fit(..., resume=posterior)`, start at trained weights, or try another "
            f"`learning_rate` (now {rate:g}).",
        )
