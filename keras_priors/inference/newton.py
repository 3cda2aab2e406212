"""The last steps to a mode, where a line search sees no difference between values."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.inference.log_posterior import LogPosterior

_STEPS, _PRODUCTS, _HALVINGS = 20, 100, 8
_NEAR = 0.1
_EPSILON = float(np.finfo("float32").eps)


def refine(log_posterior: LogPosterior, z: Any, jacobian: bool) -> tuple[Any, float, bool]:
    """(z, log density, whether it is a mode) by Newton's method, in float64 but for the model.

        P d = g,    z = z + d,    away = sqrt(g^T d / D)

    with the gradient g of the log posterior and P = -d2 log p / dz2, by conjugate gradients
    (Nocedal and Wright, 2006, algorithm 7.1). Values are sums over rows that float32 rounds;
    gradients vanish at the mode, and tell where it is long after values cannot. `away` is the
    distance to it in posterior standard deviations, a root mean square over directions: a mode
    is where it is below 0.1, or where the density has a peak, so that no step along d rises.
    """
    size = log_posterior.size
    compiled = backend.compile_function(log_posterior.with_gradient(jacobian))
    product = backend.compile_function(_product_of(log_posterior, jacobian))
    data = log_posterior.data

    def at(z: Any) -> tuple[float, Any]:
        value, gradient = compiled(ops.convert_to_tensor(z.astype("float32")), data)
        return float(value), ops.convert_to_numpy(gradient).astype("float64")

    def newton(z: Any, gradient: Any) -> Any:
        point = ops.convert_to_tensor(z.astype("float32"))

        def times(v: Any) -> Any:
            # Of unit length: float32 has the same digits everywhere, but not at 1e-40.
            length = np.linalg.norm(v)
            unit = ops.convert_to_tensor((v / length).astype("float32"))
            return ops.convert_to_numpy(product(point, unit, data)).astype("float64") * length

        return _conjugate_gradients(times, gradient)

    z = ops.convert_to_numpy(z).astype("float64")
    value, gradient = at(z)
    away, is_peak = np.inf, False
    for _ in range(_STEPS):
        step = newton(z, gradient)
        gain = float(gradient @ step)
        away = float(np.sqrt(max(gain, 0.0) / size))
        if away <= _NEAR / 10:
            break
        noise = 10 * _EPSILON * abs(value)
        for _ in range(_HALVINGS):
            higher, slope = at(z + step)
            rises = higher > value + noise
            flatter = higher > value - noise and np.linalg.norm(slope) < 0.5 * np.linalg.norm(
                gradient
            )
            if np.all(np.isfinite(slope)) and (rises or flatter):
                break
            step = 0.5 * step
        else:
            is_peak = 0.5 * gain > 10 * noise
            break
        z, value, gradient = z + step, higher, slope
    found = ops.convert_to_tensor(z.astype("float32"))
    return found, value, away <= _NEAR or is_peak


def _product_of(log_posterior: LogPosterior, jacobian: bool) -> Any:
    """f(z, v, data) = P v, block by block."""
    positions = log_posterior.positions

    def turned(function: Any, z: Any, v: Any) -> Any:
        slope = backend.value_and_gradient(function)
        return backend.value_and_gradient(lambda z: ops.sum(slope(z)[1] * v))(z)[1]

    @backend.recorded
    def of_block(z: Any, v: Any, fixed: Any, block: Any) -> Any:
        return turned(
            lambda z: log_posterior.log_likelihood_of(positions.constrain(z)[0], fixed, block), z, v
        )

    @backend.recorded
    def of_prior(z: Any, v: Any) -> Any:
        return turned(lambda z: log_posterior.log_prior_at(z, jacobian) + 0.0 * ops.sum(z), z, v)

    def product(z: Any, v: Any, data: Any) -> Any:
        fixed, blocks = data
        likelihood = backend.sum_over(lambda block: of_block(z, v, fixed, block), blocks)
        return -(likelihood / log_posterior.temperature + of_prior(z, v))

    return product


def _conjugate_gradients(times: Any, gradient: Any) -> Any:
    """d with P d = g; where P is not positive along a direction, what was found before it."""
    found = np.zeros_like(gradient)
    residual = direction = gradient
    first = squared = float(residual @ residual)
    for _ in range(min(_PRODUCTS, 2 * len(gradient))):
        if squared <= 1e-10 * first:
            break
        bent = times(direction)
        curvature = float(direction @ bent)
        if not curvature > 0:
            return found if found.any() else gradient / max(np.linalg.norm(gradient), 1.0)
        found = found + squared / curvature * direction
        residual = residual - squared / curvature * bent
        squared, before = float(residual @ residual), squared
        direction = residual + squared / before * direction
    return found
