"""The highest point of a log posterior."""

from __future__ import annotations

import math
from typing import Any

from keras import ops

from keras_priors import backend
from keras_priors.inference.log_posterior import LogPosterior


def maximize(
    log_posterior: LogPosterior,
    start: Any,
    iterations: int,
    tolerance: float,
    jacobian: bool = False,
) -> tuple[Any, float, bool]:
    """(z, log density, converged) by L-BFGS from the vector z = `start` (D,).

    Args:
        log_posterior: the log posterior.
        start: tensor (D,), a position without bounds.
        iterations: integer; 0 only evaluates.
        tolerance: float, largest element of the gradient per row.
        jacobian: bool. Whether the density is that of z, or that of the weights (the default).
    """
    rows = log_posterior.num_rows

    def search(z: Any, data: Any) -> tuple[Any, Any, Any]:
        def loss(z: Any) -> tuple[Any, Any]:
            value, gradient = log_posterior.log_prob_and_gradient(z, data, jacobian)
            return -value / rows, -gradient / rows

        if iterations == 0:
            value, gradient = loss(z)
            return z, value, ops.max(ops.abs(gradient)) <= tolerance
        return backend.minimize(loss, z, iterations, tolerance)

    def begin(z: Any, data: Any) -> Any:
        return log_posterior.log_prob_and_gradient(z, data, jacobian)

    value, gradient = backend.compile_function(begin)(start, log_posterior.data)
    if not (math.isfinite(float(value)) and bool(ops.all(ops.isfinite(gradient)))):
        raise ValueError(not_finite(float(value), log_posterior))
    z, value, converged = backend.compile_function(search)(start, log_posterior.data)
    if not math.isfinite(float(value)):
        raise ValueError(not_finite(float(value), log_posterior))
    return z, -float(value) * rows, bool(converged)


def not_finite(value: float, log_posterior: LogPosterior) -> str:
    """What to say where the log posterior or its gradient is infinite or NaN."""
    prior = log_posterior.log_prior()
    part = "likelihood" if math.isfinite(prior) else f"prior (log prior {prior:.6g})"
    return (
        f"The log posterior of {log_posterior.model.name} must be finite where inference begins, "
        f"and so must its gradient. Received: {value:.6g} nats, by its {part}. Look for targets "
        "outside the support of the likelihood, inputs that are NaN or huge, and weights outside "
        "the support of their prior."
    )
