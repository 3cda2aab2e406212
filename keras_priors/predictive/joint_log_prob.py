"""The log density of all outputs together."""

from collections.abc import Sequence
from typing import Any

from keras_priors.functional.as_array import as_array
from keras_priors.predictive.by_rows import by_rows
from keras_priors.predictive.mixture import log_density, log_mean_exp
from keras_priors.predictive.predictive import Predictive
from keras_priors.utils.export import share


@share
def joint_log_prob(predictives: Sequence[Predictive], targets: Sequence[Any]) -> Any:
    """log mean_s prod_o p(y_io | f_so) of each row i and the outputs o, in nats: float64 (N,).

    The outputs of a draw belong together, so that their densities are multiplied within it, and
    those of the steps of a row too.

    Args:
        predictives: one for each output, of the same draws, each with a likelihood.
        targets: arrays of N rows, one for each.
    """
    counts = {one.draws.shape[:2] for one in predictives}
    if len(counts) != 1:
        raise ValueError(
            "Predictives of several outputs must be of the same draws and rows, those of one "
            f"`predict`. Received: (draws, rows) of {sorted(counts)}. Predict all of them with one "
            "`num_samples`."
        )
    targets = [as_array(y, "y") for y in targets]
    for y in targets:
        if y.ndim == 0 or len(y) != predictives[0].draws.shape[1]:
            raise ValueError(
                "`y` must have one row for each of the "
                f"{predictives[0].draws.shape[1]} rows that were predicted. Received: an array of "
                f"shape {y.shape}."
            )
    # The axis of rows first, by which `by_rows` cuts all but the first.
    others = [one._outputs.swapaxes(0, 1) for one in predictives[1:]]

    def of_rows(first: Any, *rest: Any) -> Any:
        draws = [first, *(f.swapaxes(0, 1) for f in rest[: len(others)])]
        parts = [
            log_density(one.likelihood, y, f)
            for one, y, f in zip(predictives, rest[len(others) :], draws, strict=True)
        ]
        return log_mean_exp(sum(part.reshape(*part.shape[:2], -1).sum(axis=-1) for part in parts))

    return by_rows(of_rows, predictives[0]._outputs, *others, *targets, copies=len(predictives))
