"""Schedules of the KL weight: functions of the epoch, the batch and the batches of an epoch."""

from collections.abc import Callable
from typing import Any

import numpy as np

Schedule = Callable[[int, np.ndarray, int | None], np.ndarray]
"""(epoch, batches of the epoch, number of batches or None) -> the weight of each batch."""


def linear(start: float, num_epochs: float) -> Schedule:
    """From `start` to 1 over `num_epochs` epochs."""

    def schedule(epoch: int, batches: np.ndarray, steps: int | None) -> np.ndarray:
        return _ramp(start, _epochs_passed(epoch, batches, steps) / num_epochs)

    return schedule


def cyclical(start: float, num_epochs: float, num_cycles: int, ratio: float) -> Schedule:
    """Cycles that rise from `start` to 1 in their first part of `ratio`, then stay there."""

    def schedule(epoch: int, batches: np.ndarray, steps: int | None) -> np.ndarray:
        passed = _epochs_passed(epoch, batches, steps) * num_cycles / num_epochs
        # 3 batches of 1/3 must be one cycle in floating point too.
        cycle = np.floor(passed + 1e-9)
        weight = _ramp(start, np.maximum(passed - cycle, 0.0) / ratio)
        return np.where(cycle < num_cycles, weight, 1.0)

    return schedule


def blundell(epoch: int, batches: np.ndarray, steps: int | None) -> np.ndarray:
    """M pi_i with pi_i = 2^(M-i) / (2^M - 1), for i = 1..M."""
    if steps is None:
        raise ValueError(
            'KLAnnealing(schedule="blundell") needs the number of batches of an epoch. Received: '
            "data of unknown length. Give `steps_per_epoch` to `fit`, or a "
            "dataset with known cardinality (`tf.data.experimental.assert_cardinality`)."
        )
    # Divided through by 2^M, which overflows at M = 1024.
    weights: np.ndarray = steps * np.exp2(-(batches + 1.0)) / -np.expm1(-steps * np.log(2.0))
    return weights


def custom(function: Callable[[float], Any], num_epochs: float) -> Schedule:
    """A function of the fraction of the epochs that is over."""

    def schedule(epoch: int, batches: np.ndarray, steps: int | None) -> np.ndarray:
        fractions = np.minimum(_epochs_passed(epoch, batches, steps) / num_epochs, 1.0)
        weights = np.array([float(function(float(fraction))) for fraction in fractions])
        if not np.all(np.isfinite(weights) & (weights >= 0.0)):
            raise ValueError(
                "The function given as `schedule` of KLAnnealing must return finite weights of at "
                f"least 0. Received: {weights.tolist()} for fractions {fractions.tolist()}."
            )
        return weights

    return schedule


def _epochs_passed(epoch: int, batches: np.ndarray, steps: int | None) -> np.ndarray:
    if steps is None:
        # The first epoch over data of unknown length: its middle stands for all of it.
        return np.full(batches.shape, epoch + 0.5)
    return epoch + np.minimum(batches / steps, 1.0)


def _ramp(start: float, fraction: np.ndarray) -> np.ndarray:
    weights: np.ndarray = start + (1.0 - start) * np.clip(fraction, 0.0, 1.0)
    return weights
