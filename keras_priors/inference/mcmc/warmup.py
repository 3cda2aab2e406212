"""When warmup adapts what, and what it learns."""

from __future__ import annotations

from typing import Any

import numpy as np

_FIRST, _WINDOW, _LAST = 75, 25, 50


def windows(num_warmup: int) -> list[tuple[int, bool]]:
    """Stan's schedule: (transitions, whether the scale is learned from them) of each window."""
    if num_warmup < 20:
        return [(num_warmup, False)] if num_warmup else []
    first, window, last = _FIRST, _WINDOW, _LAST
    if first + window + last > num_warmup:
        first, last = int(0.15 * num_warmup), int(0.1 * num_warmup)
        window = num_warmup - first - last
    left = num_warmup - first - last
    middle = []
    while left:
        # A window is doubled unless the one after it would not fit.
        size = window if left >= 3 * window else left
        middle.append((size, True))
        left -= size
        window *= 2
    return [(first, False), *middle, (last, False)]


def restarted(state: dict[str, Any], step_size: float) -> dict[str, Any]:
    """The state with a dual averaging that begins at this step size."""
    return state | {
        "step_size": np.float32(step_size),
        "error_sum": np.float32(0),
        "log_average": np.float32(np.log(step_size)),
        "adapted": np.int32(0),
        "log_shrinkage": np.float32(np.log(10 * step_size)),
    }


def learned_scale(draws: Any, scale: Any) -> Any:
    """The scale (D,), or Cholesky factor (D, D), of draws (draws, chains, D) of z.

    The chains are pooled. Shrunk towards a thousandth of the old one as Stan does, so that few
    draws, or draws that do not move, leave something to move with.
    """
    flat = np.asarray(draws, "float64").reshape(-1, draws.shape[-1])
    number = len(flat)
    share = number / (number + 5)
    if scale.ndim == 1:
        floor = 1e-3 * scale.astype("float64") ** 2
        return np.sqrt(share * flat.var(0, ddof=1) + (1 - share) * floor).astype("float32")
    floor = 1e-3 * np.sum(scale.astype("float64") ** 2, axis=1)
    covariance = share * np.cov(flat, rowvar=False).reshape(len(floor), -1)
    return np.linalg.cholesky(covariance + (1 - share) * np.diag(floor)).astype("float32")


def rescaled(state: dict[str, Any], old: Any, new: Any) -> dict[str, Any]:
    """The state at the same z, in the units of another scale."""
    q, slope = (np.asarray(state[name], "float64") for name in ("position", "gradient"))
    if old.ndim == 1:
        ratio = old.astype("float64") / new
        q, slope = q * ratio, slope / ratio
    else:
        q = np.linalg.solve(new.astype("float64"), old @ q.T).T
        slope = np.linalg.solve(old.T.astype("float64"), slope.T).T @ new
    return state | {"position": q.astype("float32"), "gradient": slope.astype("float32")}
