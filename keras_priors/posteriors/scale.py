"""The softplus scale of the normal families, and their entropy."""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors.utils.export import share
from keras_priors.utils.parameters import positive

# Below this, softplus(x) equals exp(x) to float32 precision, and log softplus(x) equals x.
_TAIL = -15.0


@share
def softplus_inverse(y: Any) -> Any:
    """The x with softplus(x) = y, for y > 0."""
    y = np.asarray(y, "float64")
    return y + np.log(-np.expm1(-y))


def constant_rho(scale: float, rate: float = 1.0) -> keras.initializers.Initializer:
    """The initializer of a variable rho with softplus(rate * rho) = `scale`."""
    return keras.initializers.Constant(float(softplus_inverse(scale)) / rate)


def at_rate(rho: Any, rate: float) -> Any:
    """rate * rho, of a variable; the variable itself where `rate` is 1.

    Adam moves each variable by about its learning rate a step, whatever the size of gradients: what
    shall move faster has to be a multiple of its variable.
    """
    return rho if rate == 1.0 else ops.multiply(ops.convert_to_tensor(rho), rate)


def checked_stddev(owner: str, value: Any, shape: tuple[int, ...]) -> Any:
    """An array of standard deviations to move to, in float64."""
    value = np.asarray(ops.convert_to_numpy(ops.convert_to_tensor(value)), "float64")
    if value.shape != tuple(shape) or not (np.isfinite(value) & (value > 0)).all():
        raise ValueError(
            f"Standard deviations of a {owner} must be positive numbers of the weight's shape "
            f"{tuple(shape)}. Received: an array of shape {value.shape}"
            + (f", with a least value of {value.min():.3g}." if value.size else ".")
            + " A point has none: start from a posterior with a spread."
        )
    return value


def log_softplus(x: Any) -> Any:
    """log softplus(x), finite and with gradient 1 where softplus underflows to zero."""
    x = ops.convert_to_tensor(x)
    tail = x < _TAIL
    # Not `ops.maximum`, which rounds float64 to float32 on PyTorch, nor `ops.full_like`, which
    # waits for the device there.
    safe = ops.where(tail, ops.cast(_TAIL, x.dtype), x)
    return ops.where(tail, x, ops.log(ops.softplus(safe)))


def normal_entropy(log_det_scale: Any, size: int) -> Any:
    """H = log|L| + (size / 2) log(2 pi e) in nats, for a covariance L Lᵀ."""
    return log_det_scale + 0.5 * size * math.log(2.0 * math.pi * math.e)


def log_of_noise(noise: Any) -> Any:
    """Log density in nats of rows of standard normals (S, D): (S,)."""
    squares = ops.sum(ops.square(noise), axis=-1)
    return -0.5 * (squares + noise.shape[-1] * math.log(2.0 * math.pi))


def checked_initial_scale(owner: str, value: Any) -> float | None:
    """`initial_scale` as a constructor takes it: None, or a positive number."""
    if value is None:
        return None
    number = positive(owner, "initial_scale", value)
    if np.ndim(number):
        raise ValueError(
            f"`initial_scale` of {owner} must be one number, or None. Received: {value!r}."
        )
    return float(number)


def initial_scale_for(
    shape: tuple[int, ...], initial_scale: float | None, fan_in: int | None
) -> float:
    """The standard deviation that a posterior over a weight of `shape` starts with.

    None stands for the default. It was measured: small against the spread of the initial means, so
    that early gradients come from the means and not the noise; and falling with the fan-in, so
    that the noise at a unit's output is the same for all widths.
    """
    if initial_scale is not None:
        return initial_scale
    return DEFAULT_RELATIVE_SCALE / math.sqrt(math.prod(shape[:-1]) if fan_in is None else fan_in)


DEFAULT_RELATIVE_SCALE = 0.1
