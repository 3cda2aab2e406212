"""From a log posterior to its mode, and its curvature there."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.inference.check_noise import check_noise_remains
from keras_priors.inference.laplace.curvature import diagonal, full, hessian, kronecker, low_rank
from keras_priors.inference.laplace.laplace_rows import LaplaceRows
from keras_priors.inference.laplace.last_layer import LastLayer, is_linear, last_layer_weights
from keras_priors.inference.laplace.latent_scales import check_structure
from keras_priors.inference.laplace.precision import DiagonalPrecision, FullPrecision, Precision
from keras_priors.inference.laplace.prior_curvature import NormalPriors, prior_precision
from keras_priors.inference.log_posterior import LogPosterior
from keras_priors.inference.maximize import maximize, not_finite
from keras_priors.utils.warn import warn

# Largest element of the gradient, nats per row, to which the mode is polished.
_FLAT = 1e-5


@dataclass(frozen=True)
class Settings:
    """The arguments of `Laplace` that say what is approximated, and how well."""

    structure: str
    curvature: str
    layers: str
    tolerance: float = 1.0
    rank: int = 50


@dataclass(frozen=True)
class Approximation:
    """A mode, and what is known of the log posterior around it."""

    mode: Any
    """The vector z of all weights, NumPy."""
    precision: Precision
    """Of those that move, (D,) scalars."""
    log_likelihood: float
    """At the mode, in nats."""
    log_prior: float
    """The density of z of those that move, at the mode, in nats."""
    slopes: Any
    """Gradients (2, D) at the mode: of the log likelihood, of the log prior; None: unknown."""
    residuals: tuple[float, float] | None
    """(count, sum of squares) where the noise is one known number, or None."""
    noise: float | None
    """That number."""
    normal_priors: Mapping[str, Any]
    """See `NormalPriors.entries`."""

    @property
    def step(self) -> Any:
        """P^-1 g (D,): Newton's step to the mode, with the gradient g of the log posterior."""
        return self.precision.solve(np.sum(self.slopes, axis=0))

    @property
    def away(self) -> float:
        """The length of this step in posterior standard deviations, a root mean square."""
        squared = float(np.sum(self.slopes, axis=0) @ self.step)
        return math.sqrt(max(squared, 0.0) / self.slopes.shape[1])


class Approximator:
    """What goes over the rows of a log posterior; its programs are compiled once.

    Args:
        settings: what is approximated.
        log_posterior: the log posterior.
        verbose: "auto", 1 or 0.
    """

    def __init__(self, settings: Settings, log_posterior: LogPosterior, verbose: Any) -> None:
        self._settings, self._log_posterior, self._verbose = settings, log_posterior, verbose
        model, positions = log_posterior.model, log_posterior.positions
        moved = last_layer_weights(model, positions) if settings.layers == "last" else None
        self.rows = rows = LaplaceRows(
            model,
            positions,
            log_posterior.likelihoods.structure,
            settings.curvature == "fisher",
            moved,
        )
        rows.measure(log_posterior.observations.batch([0])[0])
        # What it cannot take it refuses before a mode is sought.
        check_structure(rows, settings.structure, settings.layers)
        self._last = LastLayer(rows) if settings.layers == "last" else None
        self.one_pass = (
            self._last is not None
            and settings.structure != "low_rank"
            and settings.curvature != "hessian"
        )
        """Whether one pass over the rows gives all, without a gradient through the net."""
        self._likelihood = backend.compile_function(self._likelihood_at)
        self._prior = backend.compile_function(backend.value_and_gradient(self._prior_at))

    def likelihood(self, z: Any) -> tuple[float, Any, tuple[float, float] | None]:
        """(log likelihood in nats, its gradient in all weights, residuals) at z."""
        value, slope, *found = self._likelihood(z, self._log_posterior.data)
        residuals = (float(found[0]), float(found[1])) if found else None
        return float(value), ops.convert_to_numpy(slope).astype("float64"), residuals

    def prior(self, z: Any) -> tuple[float, Any]:
        """(log prior of z in nats, Jacobian included, its gradient) in all weights, at z."""
        value, slope = self._prior(z)
        return float(value), ops.convert_to_numpy(slope).astype("float64")

    def normal_priors(self, z: Any) -> dict[str, Any]:
        """See `NormalPriors.entries`."""
        values = [ops.convert_to_numpy(v) for v in self.rows.positions.constrain(z)[0]]
        return NormalPriors(self.rows, values).entries

    def at(self, z: Any) -> Approximation:
        """What is known around a vector z (D,) of all weights."""
        settings, log_posterior, rows = self._settings, self._log_posterior, self.rows
        temperature = log_posterior.temperature
        prior = prior_precision(rows, z, settings.structure, temperature)
        if self._last is not None and self.one_pass:
            precision, value, slope, residuals = self._last.precision(
                settings.structure, log_posterior, z, prior, self._verbose
            )
            if not (math.isfinite(value) and np.all(np.isfinite(slope))):
                raise ValueError(not_finite(value, log_posterior))
        else:
            value, slope, residuals = self.likelihood(z)
            slope = rows.take_array(slope)
            precision = self._precision(z, prior)
        if temperature != 1.0:
            precision = precision.rescaled(prior, precision.factor / temperature)
        return Approximation(
            mode=ops.convert_to_numpy(z),
            precision=precision,
            log_likelihood=value,
            # Points are given, not drawn: their prior has no part in it.
            log_prior=float(rows.positions.log_prior(z, indices=rows.moved)),
            slopes=np.stack([slope / temperature, rows.take_array(self.prior(z)[1])]).astype(
                "float64"
            ),
            residuals=residuals,
            noise=rows.noise,
            normal_priors=self.normal_priors(z),
        )

    def _precision(self, z: Any, prior: Any) -> Precision:
        rows, log_posterior, verbose = self.rows, self._log_posterior, self._verbose
        structure = self._settings.structure
        if self._settings.curvature == "hessian":
            matrix = hessian(rows, log_posterior, z, verbose)
            if structure == "full":
                return FullPrecision(matrix, prior)
            return DiagonalPrecision(np.diagonal(matrix).copy(), prior)
        if structure == "low_rank":
            return low_rank(rows, log_posterior, z, prior, self._settings.rank, verbose)
        make = {"full": full, "diagonal": diagonal, "kronecker": kronecker}[structure]
        return make(rows, log_posterior, z, prior, verbose)

    def _likelihood_at(self, z: Any, data: Any) -> Any:
        fixed, blocks = data
        rows, log_posterior = self.rows, self._log_posterior

        def of_block(block: Any) -> Any:
            def log_likelihood(z: Any) -> Any:
                values = rows.positions.constrain(z)[0]
                return log_posterior.log_likelihood_of(values, fixed, block)

            found = list(backend.value_and_gradient(log_likelihood)(z))
            if rows.noise is None:
                return found
            x, y, weight = block
            outputs = rows.outputs(rows.positions.constrain(z)[0], fixed, x)
            return [*found, *rows.residuals_of(outputs, y, weight)]

        return backend.sum_over(of_block, blocks)

    def _prior_at(self, z: Any) -> Any:
        return self._log_posterior.log_prior_at(z) + 0.0 * ops.sum(z)


def approximate(
    settings: Settings, log_posterior: LogPosterior, iterations: int, verbose: Any
) -> Approximation:
    """The mode from the weights that the model has, and what is known around it.

    Args:
        settings: what is approximated.
        log_posterior: the log posterior.
        iterations: integer, steps of L-BFGS; 0 takes the weights as they are.
        verbose: "auto", 1 or 0.
    """
    approximator = Approximator(settings, log_posterior, verbose)
    z = log_posterior.positions.unconstrain(log_posterior.positions.current())
    if iterations or not approximator.one_pass:
        z, _, _ = maximize(log_posterior, z, iterations, _FLAT, jacobian=True, verbose=verbose)
    if iterations:
        check_noise_remains("Laplace", log_posterior, z)
    return approximator.at(z)


def is_whole(settings: Settings, rows: LaplaceRows) -> bool:
    """Whether the curvature that is kept is that of the linearized network, all of it."""
    if settings.curvature == "fisher":
        return False
    if settings.curvature == "hessian" or settings.structure == "kronecker":
        return settings.structure != "diagonal" and is_linear(rows)
    return settings.structure == "full"


def warn_of_no_mode(found: Approximation, tolerance: float, name: str) -> None:
    """Warns where the mode is further away than `tolerance` posterior standard deviations."""
    if not found.away <= tolerance:
        warn(
            "A Laplace approximation is one around a mode. Received: "
            f"{name}, whose mode is about {found.away:.2g} posterior standard "
            f"deviations away, more than the tolerance {tolerance:g}. Train it longer, "
            "with these priors and `num_data` set, or give more `max_iterations`.",
        )
