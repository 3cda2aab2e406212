"""Whether rows have a log likelihood that is finite, said before anything is compiled."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors.functional.check_activations import check_activations
from keras_priors.functional.check_finite_rows import check_finite_rows, not_finite_rows
from keras_priors.functional.observations import Observations
from keras_priors.functional.output_likelihoods import Likelihoods
from keras_priors.likelihoods.bernoulli import Bernoulli
from keras_priors.likelihoods.categorical import Categorical
from keras_priors.utils.export import share

# Elements of the outputs, and rows, that are looked at in one go.
_ELEMENTS, _ROWS = 2**20, 1024
# Where squares are about to leave float32.
_HUGE = 1e15


@share
def check_rows(
    model: Any,
    observations: Observations,
    likelihoods: Likelihoods,
    outputs: Any,
    log_likelihood: Callable[[Any], float],
) -> None:
    """Refuses NaN and infinity in x, and targets without a density, where they count.

    Such a target has the gradient 0, so that a search would pass over its row in silence. What
    looks wrong is put to the model itself: it may fill in NaN, or mask a target.

    Args:
        model: the model, whose weights are finite.
        observations: the data.
        likelihoods: those of the model.
        outputs: the outputs of the model for row 0.
        log_likelihood: a function of a batch (x, y, weight), nats.
    """
    check_activations(model, likelihoods.structure)
    likelihoods.check_scale(outputs)
    unsure = not_finite_rows(observations.x)
    for rows in _in_parts(unsure):
        x, y, weight = observations.batch(rows)
        # Of weight 0 too: a NaN in a forward pass is one in the gradient.
        row = _first_bad(rows, log_likelihood, (x, y, ops.ones_like(weight)))
        if row is not None:
            raise ValueError(
                f"`x` must be finite where {model.name} needs it. Received: NaN or infinity in "
                f"{len(unsure)} of {observations.count} rows, first in row "
                f"{row[0]}, whose log likelihood is {row[1]:g} nats. Leave these rows out, or fill "
                "them in."
            )
    # Finite, where an activation made a number of NaN; its gradient is none.
    check_finite_rows(model, observations.x)
    for rows in _in_parts(_without_density(observations, likelihoods, outputs)):
        row = _first_bad(rows, log_likelihood, observations.batch(rows))
        if row is not None:
            raise ValueError(
                f"`y` must have a density under {likelihoods.structure!r}. Received: targets "
                f"whose log density is {row[1]:g} nats, first in row {row[0]} of "
                f"{observations.count}: {_cause(observations.y, row[0], likelihoods, outputs)}"
            )


def _first_bad(
    rows: Any, log_likelihood: Callable[[Any], float], batch: Any
) -> tuple[int, float] | None:
    """(number, log likelihood) of the first of these rows for which it is not finite."""
    if np.isfinite(log_likelihood(batch)):
        return None
    for k, row in enumerate(rows):
        one = keras.tree.map_structure(lambda leaf, k=k: leaf[k : k + 1], batch)
        value = log_likelihood(one)
        if not np.isfinite(value):
            return int(row), value
    return None


def _cause(y: Any, row: int, likelihoods: Likelihoods, outputs: Any) -> str:
    """What is wrong with the target of a row, and what to do."""
    parts = [keras.tree.flatten(tree) for tree in (y, likelihoods.structure, outputs)]
    several = "Look at the targets of each output, and at its likelihood."
    if len({len(part) for part in parts}) > 1:
        return several
    for target, likelihood, output in zip(*parts, strict=True):
        if likelihood is None:
            continue
        value, name = target[row], type(likelihood).__name__
        if not np.all(np.isfinite(value)):
            bad = ~np.isfinite(target.reshape(len(target), -1)).all(axis=1)
            return f"NaN or infinity in `y`, in {int(bad.sum())} of its rows. Leave these rows out."
        largest = float(np.max(np.abs(ops.convert_to_numpy(output))))
        if largest > _HUGE:
            return (
                f"outputs of the model as large as {largest:.3g}, of huge inputs or weights. "
                "Standardize `x`, or begin at smaller weights."
            )
        labels = np.unique(target)
        if isinstance(likelihood, Bernoulli) and np.isin(value, (0, 1)).all():
            continue
        if isinstance(likelihood, Bernoulli) and np.isin(labels, (-1, 1)).all():
            return f"labels in {{-1, 1}}, where {name} takes 0 and 1. Give (y + 1) / 2."
        if isinstance(likelihood, Categorical) and value.size == 1:
            last, label = int(output.shape[-1]) - 1, value.item()
            if label == np.floor(label) and 0 <= label <= last:
                continue
            advice = "Number the classes from 0, or end the model with one output for each."
            if labels.min() == 1 and labels.max() == last + 1:
                advice = "They count from 1: give y - 1."
            elif np.isin(labels, (-1, 1)).all():
                advice = "They are in {-1, 1}: give (y + 1) / 2."
            return f"the label {label:g}, where {last + 1} outputs are labels 0 to {last}. {advice}"
        if len(parts[0]) == 1:
            shown = value.item() if value.size == 1 else value.tolist()
            return (
                f"the target {shown}, which is outside the support of {name}. Take the likelihood "
                "of such targets, or mend them."
            )
    return several


def _in_parts(rows: Any) -> Iterator[Any]:
    for start in range(0, len(rows), _ROWS):
        yield rows[start : start + _ROWS]


def _without_density(observations: Observations, likelihoods: Likelihoods, outputs: Any) -> Any:
    """Numbers of the rows that count, ascending, whose targets no outputs make finite."""
    leaves = keras.tree.flatten(outputs)
    if not all(bool(ops.all(ops.isfinite(leaf))) for leaf in leaves):
        return np.zeros(0, "int64")
    count = observations.count
    size = min(
        max(1, _ELEMENTS // max(1, max(np.prod(leaf.shape) for leaf in leaves))),
        4 ** math.ceil(math.log(count, 4)),  # few sizes: JAX compiles each operation for each size
    )
    found: set[int] = set()
    for start in range(0, count, size):
        rows = np.minimum(np.arange(start, start + size), count - 1)
        finite = likelihoods.finite(observations.batch(rows)[1], outputs, size)
        found.update(rows[~finite & (observations.weight[rows] > 0)].tolist())
    return np.array(sorted(found), "int64")
