"""One step of IVON, for the compiled loop and for the Keras optimizer."""

from __future__ import annotations

from typing import Any

from keras import ops


def moved_curvature(total: Any, ratio: Any, rate: Any, decay: float = 0.0) -> Any:
    """The curvature after a step, which is at least half of the one before.

        u = hhat - h,   H' = H + rate u + rate^2 u^2 / (2 H) = H (1 + (1 + rate u / H)^2) / 2

    with H = h + decay: the second form has no cancellation, and is what keeps H positive.

    Args:
        total: H, the curvature with the decay.
        ratio: hhat / H, the estimate of the curvature by this step.
        rate: 1 - beta_2, or 0 where the step had no noise.
        decay: float, that of the weights.

    References:
        - Shen et al., 2024, algorithm 1, line 5; Lin, Schmidt and Khan, 2020, equation 9.
    """
    relative = ratio + (decay / total if decay else 0.0)
    turned = (1.0 - rate) + rate * relative
    return total * (0.5 + 0.5 * ops.square(turned))
