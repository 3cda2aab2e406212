"""Whether the members of an ensemble have come to their modes."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_priors.inference.gain_of_epochs import gain_of_epochs
from keras_priors.inference.log_posterior import LogPosterior
from keras_priors.utils.warn import warn

# What a row may still gain in training as long again, in nats: the members of a net that is
# trained as usual do so for ever, a little, and a straight line promises more than there is.
_RISE_OF_A_ROW = 0.1
# Of the four to six parts of a last third, whose error is not known well.
_ERRORS = 3.0
# What a row may have lost since the best part of training: more than minibatches do.
_LOSS_OF_A_ROW = 0.25
# Of a series without a trend the last is rarely so many typical steps above the least of twenty.
_BEYOND_NOISE = 4.0


def trend_of_losses(losses: list[float], rows: int) -> Any:
    """float64 (3,): where the log posterior of a member was going, in nats.

    What it would gain in training as long again by the straight line of `gain_of_epochs`, the
    standard error of that, and how far it has ended below its best part: 0 where that is within
    what parts differ by anyway, because they are few rows.

    Args:
        losses: the mean loss of each part of training, nats per observation.
        rows: integer N.
    """
    lost, noise = 0.0, 0.0
    if len(losses) > 2:
        lost = rows * (losses[-1] - min(losses))
        noise = rows * float(np.median(np.abs(np.diff(losses))))
    found = gain_of_epochs([-rows * loss for loss in losses])
    return np.array([*found, lost if lost > _BEYOND_NOISE * noise else 0.0])


def check_trained(trends: list[Any], log_posterior: LogPosterior, epochs: int) -> None:
    """Warns of members that were still on their way, or had left where they were.

    Args:
        trends: of each member, as `trend_of_losses` has it.
        log_posterior: model and data.
        epochs: integer, for the advice.
    """
    rows = log_posterior.num_rows
    lost = [float(lost) for _, _, lost in trends if lost > _LOSS_OF_A_ROW * rows]
    if lost:
        warn(
            f"{len(lost)} of {len(trends)} members of DeepEnsemble ended far below where they had "
            f"been. Received: a log posterior that lost {max(lost):.3g} nats, "
            f"{max(lost) / rows:.2g} for each of {rows} rows, since the best part of training. "
            "Its steps are too large there: give an `optimizer` of a lower learning rate, or of "
            "one that falls, keras.optimizers.schedules.CosineDecay."
        )
    late = [
        float(gain)
        for gain, error, lost in trends
        if gain > max(1.0, _RISE_OF_A_ROW * rows, _ERRORS * error) and lost <= _LOSS_OF_A_ROW * rows
    ]
    if late:
        warn(
            f"{len(late)} of {len(trends)} members of DeepEnsemble were still on their way to a "
            f"mode when training ended. Received: a log posterior that would gain {max(late):.3g} "
            f"nats, {max(late) / rows:.2g} for each of {rows} rows, in {epochs} epochs more if it "
            "rose as over the last third of them. Give more `epochs`, or hold rows back, which "
            "tell when to stop: `fit(..., validation_split=0.1, "
            "callbacks=[keras.callbacks.EarlyStopping(patience=10)])`."
        )
