"""When warmup adapts what, and what passes from one window to the next."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_priors.inference.mcmc.scales import slope_by_q, slope_by_z, to_q, to_z

_SHORTEST, _GROWTH, _LAST = 10, 1.5, 50
_NEAR_STEPS = 200


def windows(num_warmup: int) -> list[tuple[int, bool]]:
    """(transitions, whether the scale is learned from them) of each window.

    Short ones first, because gradients tell a scale from few draws, wherever these are: 10, 15,
    22, ... each half as long again, the last of them at least a third of all. Then one for the
    step size.
    """
    if num_warmup < 20:
        return [(num_warmup, False)] if num_warmup else []
    last = min(_LAST, num_warmup // 5)
    left = num_warmup - last
    size, found = float(_SHORTEST), []
    while left:
        length = int(size) if left >= 3 * int(size) else left
        found.append((length, True))
        left -= length
        size *= _GROWTH
    return [*found, (last, False)]


def restarted(state: dict[str, Any], step_size: float, near: bool = False) -> dict[str, Any]:
    """The state with a dual averaging that begins at this step size.

    Where it is `near` the one that is looked for, as if some steps had gone before. Otherwise it
    looks at larger ones first. Its average is of less than the target, the more the step size goes
    up and down.
    """
    return state | {
        "step_size": np.float32(step_size),
        "error_sum": np.float32(0),
        "log_average": np.float32(np.log(step_size)),
        "adapted": np.int32(_NEAR_STEPS if near else 0),
        "log_shrinkage": np.float32(np.log(step_size if near else 10 * step_size)),
    }


def rescaled(state: dict[str, Any], old: tuple[Any, ...], new: tuple[Any, ...]) -> dict[str, Any]:
    """The state at the same z, in the units of another scale."""
    q, slope = (np.asarray(state[name], "float64") for name in ("position", "gradient"))
    q, slope = to_q(to_z(q, old), new), slope_by_q(slope_by_z(slope, old), new)
    return state | {"position": q.astype("float32"), "gradient": slope.astype("float32")}
