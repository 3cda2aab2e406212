"""The log marginal likelihood as a function of the prior's scales and the noise."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_priors import likelihoods
from keras_priors.inference.laplace.precision import Precision
from keras_priors.inference.laplace.prior_curvature import log_normal


class Evidence:
    """log p(y | w*) + log p(w*) + D/2 log(2 pi) - 1/2 log det P, at other scales too.

    Args:
        precision: P.
        likelihood: the likelihood.
        log_likelihood: at the mode, in nats.
        log_prior: at the mode, in nats.
        residuals: (count, sum of squares) under a Normal likelihood, or None.
        normal_priors: see `NormalPriors.entries`.
    """

    def __init__(
        self,
        precision: Precision,
        likelihood: Any,
        log_likelihood: float,
        log_prior: float,
        residuals: Any,
        normal_priors: Mapping[str, Any],
    ) -> None:
        self.precision, self.likelihood = precision, likelihood
        self.log_likelihood, self.log_prior = log_likelihood, log_prior
        self.residuals = None if residuals is None else tuple(residuals)
        self.normal_priors = normal_priors

    def scales(self, prior_scale: Any) -> dict[str, float]:
        """Scale by path, of a number or a mapping; those that are not named stay."""
        if prior_scale is None:
            return {}
        self._need_normal()
        if isinstance(prior_scale, Mapping):
            given = {path: float(scale) for path, scale in prior_scale.items()}
        else:
            given = dict.fromkeys(self.normal_priors, float(prior_scale))
        unknown = [path for path in given if path not in self.normal_priors]
        if unknown or not all(0 < scale < math.inf for scale in given.values()):
            raise ValueError(
                "`prior_scale` must be greater than 0, for weights with an independent normal "
                f"prior: {list(self.normal_priors)}. Received: prior_scale={prior_scale!r}."
            )
        return given

    def current_scales(self) -> dict[str, float]:
        """The scales now."""
        diagonal = self._diagonal()
        return {
            path: float(1.0 / np.sqrt(np.mean(diagonal[where])))
            for path, (where, *_) in self.normal_priors.items()
        }

    def moved(
        self, scales: Mapping[str, float], noise: float | None
    ) -> tuple[Precision, float, float, dict[str, Any]]:
        """(P, log likelihood, log prior, normal priors) at other scales."""
        log_likelihood, factor = self.log_likelihood, self.precision.factor
        if noise is not None:
            count, squares = self._need_residuals(noise)
            factor *= (float(self.likelihood.scale) / noise) ** 2
            log_likelihood = float(log_normal(squares, count, noise))
        prior, log_prior = self.precision.prior.copy(), self.log_prior
        entries = dict(self.normal_priors)
        diagonal = prior if prior.ndim == 1 else np.einsum("ii->i", prior)
        for path, scale in scales.items():
            where, squares, count, now = entries[path]
            then = float(log_normal(squares, count, scale))
            log_prior += then - now
            diagonal[where] = scale**-2
            entries[path] = (where, squares, count, then)
        if not scales and noise is None:
            return self.precision, log_likelihood, log_prior, entries
        return self.precision.rescaled(prior, factor), log_likelihood, log_prior, entries

    def at(self, scales: Mapping[str, float], noise: float | None) -> tuple[float, Precision]:
        """(the evidence in nats, P)."""
        precision, log_likelihood, log_prior, _ = self.moved(scales, noise)
        volume = len(precision.prior) * math.log(math.tau) - precision.log_det()
        return log_likelihood + log_prior + 0.5 * volume, precision

    def maximum(
        self, prior_scale: str | None, noise: bool
    ) -> tuple[dict[str, float], float | None]:
        """The scales and the noise of the highest evidence, by L-BFGS in their logarithms."""
        if prior_scale not in ("one", "each", None) or not (prior_scale or noise):
            raise ValueError(
                '`tune` takes prior_scale="one", "each" or None, and noise=True where it is None. '
                f"Received: prior_scale={prior_scale!r}, noise={noise!r}."
            )
        groups: list[list[str]] = []
        now = self.current_scales()
        if prior_scale is not None:
            self._need_normal()
            groups = [list(now)] if prior_scale == "one" else [[path] for path in now]
        start = [float(np.mean([math.log(now[path]) for path in group])) for group in groups]
        if noise:
            self._need_residuals(1.0)
            start.append(math.log(float(self.likelihood.scale)))

        def read(logs: Any) -> tuple[dict[str, float], float | None]:
            scales = {
                path: math.exp(log)
                for log, group in zip(logs, groups, strict=False)
                for path in group
            }
            return scales, math.exp(logs[-1]) if noise else None

        def loss(logs: Any) -> tuple[float, Any]:
            scales, sigma = read(logs)
            value, precision = self.at(scales, sigma)
            return -value, -np.array(self._slopes(precision, groups, scales, sigma))

        from scipy import optimize  # Not at `import keras_priors`: it takes long.

        bounds = [(log - 14.0, log + 14.0) for log in start]
        found = optimize.minimize(
            loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-14}
        )
        return read(found.x)

    def _slopes(
        self,
        precision: Precision,
        groups: list[list[str]],
        scales: Mapping[str, float],
        noise: float | None,
    ) -> list[float]:
        """Derivatives of the evidence in the logarithms of scales and noise."""
        variance = precision.variance()
        slopes = []
        for group in groups:
            slope = 0.0
            for path in group:
                where, squares, count, _ = self.normal_priors[path]
                slope += (squares + float(np.sum(variance[where]))) / scales[path] ** 2 - count
            slopes.append(slope)
        if noise is not None:
            count, squares = self._need_residuals(noise)
            # tr(P^-1 H) = D - tr(P^-1 prior): the number of well-determined weights.
            known = len(variance) - float(np.sum(variance * precision.prior))
            slopes.append(squares / noise**2 - count + known)
        return slopes

    def _diagonal(self) -> Any:
        prior = self.precision.prior
        return prior if prior.ndim == 1 else np.diagonal(prior)

    def _need_normal(self) -> None:
        if not self.normal_priors:
            raise ValueError(
                "`prior_scale` is that of independent normal priors. Received: weights that have "
                "none. Give them keras_priors.NormalPrior by keras_priors.set_priors."
            )

    def _need_residuals(self, noise: float) -> tuple[float, float]:
        if self.residuals is None or not isinstance(self.likelihood, likelihoods.Normal):
            raise ValueError(
                "`noise` is the scale of a Normal likelihood with one number, and one observation "
                f"a row. Received: {self.likelihood!r}. Leave it out."
            )
        if self.precision.prior.ndim != 1:
            raise ValueError(
                "`noise` is tuned where priors are those of each element. Received: priors that "
                "tie elements together. Leave it out."
            )
        if not 0 < noise < math.inf:
            raise ValueError(f"`noise` must be greater than 0. Received: noise={noise!r}.")
        return self.residuals
