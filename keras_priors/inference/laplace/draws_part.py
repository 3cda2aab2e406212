"""Whether a network at draws of its weights is near the linearized one."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors.functional.outputs_at_draws import outputs_at_draws
from keras_priors.functional.rows import Rows
from keras_priors.utils.warn import warn

# Pairs of draws, and rows, that are looked at.
_PAIRS, _ROWS = 4, 64


def warn_where_draws_part(posterior: Any, x: Any) -> None:
    """Warns where draws of the network part from the linearized one by more than the noise.

        gap = (f(w* + d) + f(w* - d)) / 2 - f(w*)

    is 0 for what is linear in the weights, whatever the draw d: no Monte-Carlo error is taken for
    curvature. It is compared as the mean that the likelihood has at f(w*) + gap.

    Args:
        posterior: a `LaplacePosterior`.
        x: arrays in the structure of the model's inputs.
    """
    rows = Rows(x, posterior.model)
    step = max(1, (rows.count or 1) // _ROWS)
    some = keras.tree.map_structure(lambda leaf: leaf[::step][:_ROWS], rows.first)
    moves = [posterior._deviation(handle) for handle in posterior._handles(_PAIRS, 0)]
    values = posterior._values_at([0.0 * moves[0], *moves, *(-move for move in moves)])
    outputs = outputs_at_draws(
        posterior.model, posterior._targets, lambda a, b: [v[a:b] for v in values], 9, some
    )
    natural = posterior._rows.natural

    def of_draw(k: int) -> Any:
        return keras.tree.map_structure(
            lambda y: ops.convert_to_tensor(y[k].astype("float32")), outputs
        )

    shape = natural.measure(of_draw(0))
    f = [ops.convert_to_numpy(natural.forward(of_draw(k))) for k in range(1 + 2 * _PAIRS)]
    middles = 0.5 * (np.stack(f[1 : 1 + _PAIRS]) + np.stack(f[1 + _PAIRS :]))
    at_mode, at_middles = natural.moments(f[0], shape), [natural.moments(g, shape) for g in middles]
    for k, (expected, variance) in enumerate(at_mode):
        means = np.stack([found[k][0] for found in at_middles])
        apart = float(np.sqrt(np.mean((means - expected) ** 2)))
        noise = float(np.sqrt(np.mean(variance)))
        if apart <= noise:
            continue
        warn(
            "Draws of the weights of a Laplace approximation predict as their model does where it "
            "is about linear in them. Received: draws whose predictions part from the linearized "
            f'ones by {apart:.3g}, more than the noise, {noise:.3g}. Trust predict(method="glm"), '
            "the default; for draws that are functions of the network itself use layers='last' or "
            "another method, such as keras_priors.inference.SGHMC.",
        )
        return
