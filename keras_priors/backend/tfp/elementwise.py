"""Elementwise operations of the estimators, where a compiler fuses them."""

from typing import Any

from keras import ops

# Keeps the gradient of a square root finite at zero; far below any variance.
TINY = 1e-30


def square(x: Any) -> Any:
    return ops.square(x)


def add_noise(y: Any, variance: Any, noise: Any) -> Any:
    return y + ops.cast(ops.sqrt(variance + TINY) * noise, y.dtype)


def ivon_step(
    state: Any,
    gradient: Any,
    noise: Any,
    step: Any,
    still: Any,
    rate: Any,
    settings: tuple[float, ...],
) -> Any:
    value, mean, total, momentum = state
    beta_1, beta_2, size, decay, floor = settings
    debiased = 1.0 - ops.power(ops.cast(beta_1, value.dtype), ops.cast(step, value.dtype) + 1.0)
    noisy = ops.not_equal(step, still)
    mean = ops.where(noisy, mean, value)
    # hhat / H = g (w - m) / (H sigma^2), where w is as it was rounded.
    ratio = size * (gradient * (value - mean))
    learned = (1.0 - beta_2) * ops.cast(noisy, value.dtype)
    relative = ratio + decay / total if decay else ratio
    total = total * (0.5 + 0.5 * ops.square((1.0 - learned) + learned * relative))
    momentum = beta_1 * momentum + (1.0 - beta_1) * gradient
    slope = momentum + debiased * decay * mean if decay else momentum
    mean = mean - (rate / debiased) * (slope / (ops.maximum(total, floor) if floor else total))
    return mean + noise * ops.rsqrt(size * total), mean, total, momentum
