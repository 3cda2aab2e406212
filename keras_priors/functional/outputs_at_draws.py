"""Outputs of a model at draws of its weights that come from anywhere."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.functional.check_finite_weights import (
    check_finite_draws,
    check_finite_weights,
)
from keras_priors.functional.forward import signature_of, single
from keras_priors.functional.results import Results
from keras_priors.functional.row_blocks import chunk_rows, draws_per_call
from keras_priors.functional.rows import Rows
from keras_priors.layers.weight_draws import WeightDraws
from keras_priors.posteriors.posterior import Posterior
from keras_priors.utils.export import share
from keras_priors.utils.progress import Progress

Target = Any
"""What a value stands in for: a `keras.Variable`, or the posterior of a variational layer."""


@share
def outputs_at_draws(
    model: Any,
    targets: Sequence[Target],
    values_of: Callable[[int, int], Sequence[Any]],
    num_draws: int,
    x: Any,
    batch_size: int | None = None,
    verbose: Any = "auto",
    out: Any = None,
) -> Any:
    """Outputs (S, N, ...) with `training=False`, in the structure of the model's outputs.

    Args:
        model: built `keras.Model`.
        targets: what the values stand in for; everything else is as the model has it.
        values_of: from `start` and `stop` to the values of these draws, an array
            (stop - start, ...) for each target. Called once a chunk of rows, where the draws of
            all calls do not fit in memory together.
        num_draws: integer, S.
        x: rows, as `keras_priors.predict` takes them.
        batch_size: integer, most rows in a chunk; None as memory bears.
        verbose: "auto", 0 or 1, for the progress bar.
        out: path of a `.npy` file for the array, or None.
    """
    rows = Rows(x, model)
    backend.sync_variables(model)
    taken = {id(target) for target in targets}
    check_finite_weights(model, [v for v in model.variables if id(v) not in taken])
    size = chunk_rows(model, rows.first, rows.count, batch_size)
    group = draws_per_call(model, rows.first, size, num_draws)
    starts = range(0, num_draws, group)
    forward = _forward_of(model, targets)
    progress = Progress(
        None if rows.count is None else len(starts) * -(-rows.count // size), verbose
    )
    kept: Any = None
    with Results(num_draws, rows.count, out) as results:
        for chunk, valid in rows.chunks(size):
            tensors = backend.place_batch(chunk)
            for start in starts:
                if kept is None or len(starts) > 1:
                    kept = _padded(values_of(start, min(start + group, num_draws)), group)
                    check_finite_draws(model, kept)
                results.write(forward(kept, tensors), start, valid)
                progress.step()
            results.next_chunk(valid)
        progress.close()
        return results.outputs()


@share
def outputs_at(targets: Sequence[Target], values: Sequence[Any], model: Any, x: Any) -> Any:
    """model(x, training=False) with one value in the place of each target; a pure function.

    Args:
        targets: every variable of the model, but those of a posterior that is itself a target.
        values: a tensor for each.
        model: built `keras.Model`.
        x: structure of tensors.
    """
    pairs = list(zip(targets, values, strict=True))
    mapping = [(target, value) for target, value in pairs if not isinstance(target, Posterior)]
    given = [(target, value) for target, value in pairs if isinstance(target, Posterior)]
    draws = WeightDraws(None, [q for q, _ in given], [value for _, value in given])
    with keras.StatelessScope(state_mapping=mapping), draws:
        outputs = model(x, training=False)
    return keras.tree.map_structure(single, outputs)


class ForwardAtDraws:
    """Outputs at stacked values of some of a model's weights, in one compiled function."""

    def __init__(self, model: Any, targets: Sequence[Target]) -> None:
        self.signature = _key(model, targets)
        self.traces = 0
        # Weakly: the cache must not keep the model alive. Its layers hold the targets.
        self._model = weakref.ref(model)
        self._targets = [weakref.ref(target) for target in targets]
        self._function = backend.compile_function(self._outputs)

    def __call__(self, values: Sequence[Any], x: Any) -> Any:
        """Outputs (draws, rows, ...) for values (draws, ...) of each target."""
        taken = {id(target()) for target in self._targets}
        fixed = [ops.convert_to_tensor(v) for v in self._variables() if id(v) not in taken]
        return self._function(list(values), fixed, x)

    def _variables(self) -> list[Any]:
        model: Any = self._model()
        return list(model.variables)

    def _outputs(self, values: list[Any], fixed: list[Any], x: Any) -> Any:
        self.traces += 1
        model: Any = self._model()
        targets = [target() for target in self._targets]
        taken = {id(target) for target in targets}
        rest = [v for v in self._variables() if id(v) not in taken]

        def one_draw(draw: list[Any]) -> Any:
            return outputs_at([*targets, *rest], [*draw, *fixed], model, x)

        return backend.map_draws(one_draw, values)


_forwards: weakref.WeakKeyDictionary[Any, ForwardAtDraws] = weakref.WeakKeyDictionary()


def _forward_of(model: Any, targets: Sequence[Target]) -> ForwardAtDraws:
    found = _forwards.get(model)
    if found is None or found.signature != _key(model, targets):
        found = ForwardAtDraws(model, targets)
        _forwards[model] = found
    return found


def _key(model: Any, targets: Sequence[Target]) -> tuple[Any, ...]:
    return (signature_of(model), tuple(id(target) for target in targets))


def _padded(values: Sequence[Any], group: int) -> list[Any]:
    """The last call is filled up with its first draw again, whose outputs are dropped."""

    def pad(value: Any) -> Any:
        value = ops.convert_to_numpy(value)
        missing = group - len(value)
        if missing:
            value = np.concatenate([value, np.repeat(value[:1], missing, axis=0)])
        return ops.convert_to_tensor(value)

    return [pad(value) for value in values]
