"""The highest point of a log posterior."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from keras import ops

from keras_priors import backend
from keras_priors.inference.journal import current
from keras_priors.inference.log_posterior import LogPosterior
from keras_priors.inference.newton import refine
from keras_priors.utils.progress import Progress
from keras_priors.utils.warn import warn

# Iterations of one call of the compiled search: between calls the bar moves, and Ctrl-C is heard.
_CALL = 100


def maximize(
    log_posterior: LogPosterior,
    start: Any,
    iterations: int,
    tolerance: float,
    jacobian: bool = False,
    verbose: Any = 0,
) -> tuple[Any, float, bool]:
    """(z, log density, converged) by L-BFGS from the vector z = `start` (D,).

    It has converged where the gradient is small. Where float32 shows no point that is higher,
    `refine` says whether it is a mode, and goes there if it is not.
    After Ctrl-C it is the highest point so far, with a warning.

    Args:
        log_posterior: the log posterior.
        start: tensor (D,), a position without bounds.
        iterations: integer; 0 only evaluates.
        tolerance: float, largest element of the gradient per row.
        jacobian: bool. Whether the density is that of z, or that of the weights (the default).
        verbose: "auto", 1 or 0, for the progress bar. Defaults to 0.
    """
    rows = log_posterior.num_rows
    both = log_posterior.with_gradient(jacobian)

    # Compiled by itself: the line search names it in eight places, each traced else.
    @backend.compile_function
    def loss_of(z: Any, data: Any) -> tuple[Any, Any]:
        value, gradient = both(z, data)
        return -value / rows, -gradient / rows

    def search_of(count: int) -> Any:
        def search(z: Any, data: Any) -> tuple[Any, ...]:
            def loss(z: Any) -> Any:
                return loss_of(z, data)

            first, gradient = loss(z)
            finite = ops.all(ops.isfinite(gradient))
            stopped = False
            if count:
                # TFP also stops, and calls it converged, where a step changes nothing.
                z, _, stopped = backend.minimize(loss, z, count, tolerance)
                value, gradient = loss(z)
            else:
                value = first
            return z, value, ops.max(ops.abs(gradient)) <= tolerance, stopped, first, finite

        return backend.compile_function(search)

    progress = Progress(iterations, verbose, unit="iteration")
    z, done, best, converged = start, 0, math.inf, False
    journal = current()
    compiled: dict[int, Any] = {}

    def call(z: Any, count: int) -> tuple[Any, Any]:
        if count not in compiled:
            compiled[count] = search_of(count)
        found, *kept = compiled[count](z, log_posterior.data)
        return found, kept

    def refined(z: Any) -> tuple[Any, Any]:
        z, value, converged = refine(log_posterior, z, jacobian)
        return z, [value, converged]

    try:
        while True:
            count = min(_CALL, iterations - done)
            found, kept = journal.step("search", partial(call, z, count), z)
            value, converged, stopped, first, finite = kept
            for given in (first, value):
                if not (math.isfinite(float(given)) and bool(finite)):
                    raise ValueError(not_finite(-float(given) * rows, log_posterior))
            converged = bool(converged)
            stalled = not converged and (bool(stopped) or not float(value) < best)
            z, best, done = found, float(value), done + count
            if stalled and iterations:
                z, (value, converged) = journal.step("refinement", partial(refined, z), z)
                best = -float(value) / rows
                converged = bool(converged)
            if converged or stalled or done >= iterations:
                break
            progress.step(count)
        z = journal.end("search", z)
    except KeyboardInterrupt:
        journal.stop()
        if not math.isfinite(best):
            raise
        warn(
            f"The search for the mode of {log_posterior.model.name} was interrupted after {done} "
            f"of at most {iterations} iterations; it returns the highest point so far.",
        )
    progress.close()
    return z, -best * rows, converged


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
