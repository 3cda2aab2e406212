"""What the chains of a sampler predict, draw by draw."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors.functional.outputs_at_draws import outputs_at_draws
from keras_priors.utils.export import share

# Rows of a call, so that what is in memory stays small where a row has many outputs; and scalars
# after which no further rows are asked for.
_ROWS, _ENOUGH = 25, 1000


@share
def prediction_chains(
    posterior: Any, x: Any, most: int | None = None, y: Any = None
) -> dict[str, Any]:
    """E[y* | x, w] at draws w of a `SamplePosterior`: arrays (chains, draws, rows, ...) by name.

    The name is "mean", with the path to its output where there are several. Where the outputs say
    more than the mean (the scale of the noise), the standard deviation of y* is there too, as "sd".
    An output without likelihood is taken as it is.

    Args:
        posterior: a `SamplePosterior`.
        x: rows, arrays in the structure of the model's inputs.
        most: integer, how many rows are taken, evenly spaced; fewer where a row has many outputs.
            Defaults to None: all.
        y: targets of x. With them the log density of each is there too, in nats for each of its
            numbers, as "log_prob" (chains, draws, rows). Defaults to None.
    """
    count = len(keras.tree.flatten(x)[0])
    rows = np.arange(count)
    if most is not None and most < count:
        rows = ((2 * np.arange(most) + 1) * count) // (2 * most)
    number = posterior.num_chains * posterior.num_draws
    handles = posterior._handles(number, 0)
    parts: list[dict[str, Any]] = []
    for start in range(0, len(rows), _ROWS):
        chosen = rows[start : start + _ROWS]

        def take(structure: Any, chosen: Any = chosen) -> Any:
            return keras.tree.map_structure(lambda leaf: leaf[chosen], structure)

        outputs = outputs_at_draws(
            posterior.model,
            posterior._targets,
            lambda first, last: posterior._values(handles[first:last]),
            number,
            take(x),
            verbose=0,
        )
        targets = None if y is None else take(y)
        parts.append(_moments(posterior.likelihood, outputs, targets))
        found = sum(v[0].size for part in parts for v in part.values())
        if most is not None and found >= _ENOUGH:
            break
    chains = (posterior.num_chains, posterior.num_draws)
    return {
        name: np.concatenate([part[name] for part in parts], axis=1).reshape(
            *chains, -1, *parts[0][name].shape[2:]
        )
        for name in parts[0]
    }


def _moments(likelihood: Any, outputs: Any, y: Any) -> dict[str, Any]:
    """By name, arrays (S, rows, ...)."""
    if not keras.tree.is_nested(outputs):
        return _of_one(likelihood, outputs, y, "")
    names = list(outputs) if isinstance(outputs, dict) else range(len(outputs))
    found: dict[str, Any] = {}
    for name in names:
        target = None if y is None or likelihood[name] is None else y[name]
        found |= _of_one(likelihood[name], outputs[name], target, f"{name}/")
    return found


def _of_one(likelihood: Any, outputs: Any, y: Any, lead: str) -> dict[str, Any]:
    outputs = outputs[..., None] if outputs.ndim == 2 else outputs
    if likelihood is None:
        return {f"{lead}mean": outputs}
    mean = ops.convert_to_numpy(likelihood.mean(outputs))
    found = {f"{lead}mean": mean}
    if mean.shape != outputs.shape:
        found[f"{lead}sd"] = np.sqrt(ops.convert_to_numpy(likelihood.variance(outputs)))
    if y is not None:
        density = ops.convert_to_numpy(likelihood.log_prob(y[None], outputs))
        density = density.reshape(*density.shape[:2], -1).sum(axis=2)
        found[f"{lead}log_prob"] = density / max(1, y[0].size)
    return found
