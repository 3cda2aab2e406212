"""The log marginal likelihood as a function of the prior's scales and the noise."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from keras_priors.inference.laplace.approximate import Approximation
from keras_priors.inference.laplace.prior_curvature import log_normal

# The scale of the noise as a function of a number on the real line, at that number: sigma, its log
# density in nats, and the derivatives of log sigma and of this density.
Noise = Callable[[float], tuple[float, float, float, float]]


def check_bayes(name: str, temperature: Any) -> None:
    """Refuses what is about the evidence where a temperature is not that of Bayes' rule."""
    if temperature != 1.0:
        raise ValueError(
            f"`{name}` is about the evidence, log p(y | x), which is that of Bayes' rule. "
            f"Received: a posterior at the temperature {temperature:g}. Fit with temperature=1."
        )


def log_noise(t: float) -> tuple[float, float, float, float]:
    """`Noise` by its logarithm, without a prior."""
    return math.exp(t), 0.0, 1.0, 0.0


def log_evidence(found: Approximation) -> float:
    """log p(y | w*) + log p(w*) + D/2 log(2 pi) - 1/2 log det P + 1/2 g^T P^-1 g, in nats.

    The last term moves to the mode of the quadratic: g is 0 where w* is one.
    """
    volume = len(found.precision.prior) * math.log(math.tau) - found.precision.log_det()
    value = found.log_likelihood + found.log_prior + 0.5 * volume
    if found.slopes is not None:
        value += 0.5 * float(np.sum(found.slopes, axis=0) @ found.step)
    return value


def scales_of(found: Approximation, prior_scale: Any) -> dict[str, float]:
    """Scale by path, of a number or a mapping; those that are not named stay."""
    if prior_scale is None:
        return {}
    need_normal(found)
    if isinstance(prior_scale, Mapping):
        given = {path: float(scale) for path, scale in prior_scale.items()}
    else:
        given = dict.fromkeys(found.normal_priors, float(prior_scale))
    unknown = [path for path in given if path not in found.normal_priors]
    if unknown or not all(0 < scale < math.inf for scale in given.values()):
        raise ValueError(
            "`prior_scale` must be greater than 0, for weights with an independent normal "
            f"prior: {list(found.normal_priors)}. Received: prior_scale={prior_scale!r}."
        )
    return given


def current_scales(found: Approximation) -> dict[str, float]:
    """The scales now."""
    prior = found.precision.prior
    diagonal = prior if prior.ndim == 1 else np.diagonal(prior)
    return {
        path: float(1.0 / np.sqrt(np.mean(diagonal[where])))
        for path, (where, *_) in found.normal_priors.items()
    }


def moved(
    found: Approximation, scales: Mapping[str, float], noise: float | None = None
) -> Approximation:
    """What is known at other scales, around the same point."""
    if not scales and noise is None:
        return found
    log_likelihood, factor = found.log_likelihood, found.precision.factor
    slopes = None if found.slopes is None else found.slopes.copy()
    if noise is not None:
        (count, squares), now = need_noise(found, noise)
        factor *= (now / noise) ** 2
        log_likelihood = float(log_normal(squares, count, noise))
        if slopes is not None:
            slopes[0] *= (now / noise) ** 2
    prior, log_prior = found.precision.prior.copy(), found.log_prior
    entries = dict(found.normal_priors)
    diagonal = prior if prior.ndim == 1 else np.einsum("ii->i", prior)
    for path, scale in scales.items():
        where, squares, count, log_density = entries[path]
        then = float(log_normal(squares, count, scale))
        log_prior += then - log_density
        if slopes is not None:
            slopes[1, where] *= scale**-2 / diagonal[where]
        diagonal[where] = scale**-2
        entries[path] = (where, squares, count, then)
    return dataclasses.replace(
        found,
        precision=found.precision.rescaled(prior, factor),
        log_likelihood=log_likelihood,
        log_prior=log_prior,
        slopes=slopes,
        noise=found.noise if noise is None else noise,
        normal_priors=entries,
    )


class Objective:
    """The log evidence, and the log density of the noise, as functions of a vector.

    Args:
        found: a mode, and what is known around it.
        groups: paths of weights whose priors have one scale, for each entry of the vector: its
            logarithm.
        noise: how the last entry of the vector says the scale of the noise, or None: it is known.
        whole: bool. Whether P is all of the curvature. If not, the mode stays where it is: a part
            of the curvature would move it too far.
    """

    def __init__(
        self,
        found: Approximation,
        groups: Sequence[Sequence[str]],
        noise: Noise | None,
        whole: bool,
    ) -> None:
        self.found = found if whole else dataclasses.replace(found, slopes=None)
        self.groups, self.noise = groups, noise

    def read(self, vector: Any) -> tuple[dict[str, float], float | None]:
        """(scale by path, that of the noise)."""
        scales = {
            path: math.exp(log)
            for log, group in zip(vector, self.groups, strict=False)
            for path in group
        }
        return scales, None if self.noise is None else self.noise(vector[-1])[0]

    def __call__(self, vector: Any) -> tuple[float, Any]:
        """(value in nats, slope), as the quadratic around the point has them at its own mode."""
        scales, sigma = self.read(vector)
        there = moved(self.found, scales, sigma)
        precision, variance = there.precision, there.precision.variance()
        step = np.zeros(len(variance)) if there.slopes is None else there.step
        spread = variance + precision.prior_squares(step)
        value, slopes = log_evidence(there), []
        for group in self.groups:
            slope = 0.0
            for path in group:
                where, squares, count, _ = there.normal_priors[path]
                total = squares + float(np.sum(spread[where]))
                if there.slopes is not None:  # of (w* - loc + step)^2, the product
                    total -= 2.0 * scales[path] ** 2 * float(there.slopes[1, where] @ step[where])
                slope += total / scales[path] ** 2 - count
            slopes.append(slope)
        if self.noise is not None and sigma is not None:
            (count, squares), _ = need_noise(there, sigma)
            # tr(P^-1 H) = D - tr(P^-1 prior): the number of well-determined weights.
            known = len(variance) - float(np.sum(spread * precision.prior))
            total = squares / sigma**2 - count + known
            if there.slopes is not None:
                likelihood, prior = there.slopes
                total += float((likelihood + prior) @ step) - 2.0 * float(likelihood @ step)
            _, log_prior, rate, slope = self.noise(vector[-1])
            value += log_prior
            slopes.append(total * rate + slope)
        return value, np.array(slopes)

    def maximum(self, start: Any, reach: float = 7.0) -> Any:
        """The vector of the highest value within `reach` of the start, by L-BFGS."""
        from scipy import optimize  # Not at `import keras_priors`: it takes long.

        first = self(start)[0]

        def loss(vector: Any) -> tuple[float, Any]:
            try:
                value, slope = self(vector)
            except ValueError:
                # In float32 a matrix without full rank has a little less than none where the data
                # count a million times more: a line search that comes there turns back.
                return abs(first) + 1e6, np.zeros(len(vector))
            return -value, -slope

        bounds = [(at - reach, at + reach) for at in start]
        return optimize.minimize(
            loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-14}
        ).x


def groups_of(found: Approximation, prior_scale: str | None, noise: bool) -> list[list[str]]:
    """The paths whose priors are tuned together."""
    if prior_scale not in ("one", "each", None) or not (prior_scale or noise):
        raise ValueError(
            '`tune` takes prior_scale="one", "each" or None, and noise=True where it is None. '
            f"Received: prior_scale={prior_scale!r}, noise={noise!r}."
        )
    if prior_scale is None:
        return []
    need_normal(found)
    paths = list(found.normal_priors)
    return [paths] if prior_scale == "one" else [[path] for path in paths]


def need_normal(found: Approximation) -> None:
    """Refuses weights of which none has an independent normal prior."""
    if not found.normal_priors:
        raise ValueError(
            "`prior_scale` is that of independent normal priors. Received: weights that have "
            "none. Give them keras_priors.NormalPrior by keras_priors.set_priors."
        )


def need_noise(found: Approximation, noise: float) -> tuple[tuple[float, float], float]:
    """((count, sum of squares) of the residuals, the noise now), where it is a known number."""
    if found.residuals is None or found.noise is None:
        raise ValueError(
            "`noise` is the scale of a Normal likelihood with one number, or of a frozen "
            "NoiseScale at the end of the model, and one observation a row. Received: a "
            "likelihood or a model that has another noise. Leave it out; of a NoiseScale that is "
            "trained, `tune(noise=True)` finds the scale of the highest evidence."
        )
    if found.precision.prior.ndim != 1:
        raise ValueError(
            "`noise` is tuned where priors are those of each element. Received: priors that "
            "tie elements together. Leave it out."
        )
    if not 0 < noise < math.inf:
        raise ValueError(f"`noise` must be greater than 0. Received: noise={noise!r}.")
    return found.residuals, found.noise
