"""One step of SGLD and of SGHMC, for the compiled loop and for the Keras optimizers."""

from typing import Any

from keras import ops

# The running second moment of the gradient: how much of it stays in a step.
DECAY = 0.99
_STABILITY = 1e-5


def moved_square(square: Any, gradient: Any, weight: Any) -> Any:
    """The running second moment; `weight` is 1 - DECAY, 1 to begin with, 0 where it is fixed."""
    return square + weight * (ops.square(gradient) - square)


def metric_of(square: Any) -> Any:
    """G = 1 / (root of the running second moment), of Li et al., 2016, equation 5."""
    return 1.0 / (_STABILITY + ops.sqrt(square))


def guarded(square: Any, recent: Any) -> Any:
    """The kept second moment, or half the recent one where that is larger.

    Where gradients have grown to sqrt(2) times those of burn-in, steps shrink as they grow: a
    chain that came to where the posterior is stiffer is not thrown off. Where the noise of batches
    is most of a gradient, as it is but for few rows, this hardly ever acts, and nothing is biased.
    """
    return ops.maximum(square, recent / 2)


def noisy_move(
    gradient: Any,
    noise: Any,
    metric: Any,
    rate: Any,
    *,
    num_data: int,
    momentum: float = 0.0,
    velocity: Any = None,
    temperature: Any = 1.0,
) -> Any:
    """What a step adds to the position, which is also the next velocity.

        momentum * v - rate * G g + sqrt(2 (1 - momentum) T rate * G / N) * N(0, 1)

    Args:
        gradient: g, of the negative log posterior per observation.
        noise: standard normals of its shape.
        metric: G.
        rate: the learning rate, that of SGD on the mean loss.
        num_data: integer N.
        momentum: float in [0, 1).
        velocity: v; None where the momentum is 0.
        temperature: T, 1 for the posterior and 0 for no noise.

    References:
        - Welling and Teh, 2011, equation 4; Chen, Fox and Guestrin, 2014, equation 15.
    """
    variance = 2.0 * (1.0 - momentum) / num_data * temperature * rate * metric
    move = ops.sqrt(variance) * noise - rate * metric * gradient
    return move if velocity is None else momentum * velocity + move
