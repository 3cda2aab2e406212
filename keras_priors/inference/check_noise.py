"""A word where a learned noise has gone as low as it can, or far above the targets."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from keras_priors.layers.noise_scale import NoiseScale
from keras_priors.likelihoods.asymmetric_laplace import AsymmetricLaplace
from keras_priors.likelihoods.heteroscedastic_normal import HeteroscedasticNormal
from keras_priors.likelihoods.laplace import Laplace
from keras_priors.likelihoods.student_t import StudentT
from keras_priors.utils.export import share
from keras_priors.utils.warn import warn

# `NoiseScale` goes no lower than 1e-6. A chain leaves that bound slowly, and not far.
_LOW = 1e-5
# The share of the targets' standard deviation that a model of more weights than numbers leaves
# to the noise, below which it has fitted it away.
_LITTLE = 0.05
# Whose scale is compared with the spread of the targets.
_IN_UNITS_OF_TARGETS = (HeteroscedasticNormal, StudentT, Laplace, AsymmetricLaplace)
# Standard deviations of the targets that no noise of theirs has.
_HIGH = 10.0


@share
def check_noise(name: str, posterior: Any, num_samples: int | None = None) -> None:
    """Warns where the scale of a `NoiseScale` is at its least in some draw, or beyond reason.

    A model that reproduces its targets exactly has no most likely noise: the density of the
    targets rises without end as the scale falls, and stops where the layer does, at 12.9 nats a
    number. Predictions then have no width. And where all noise is too large a step can throw its
    logarithm so far up that the data pull it back by next to nothing: a normal with ten times the
    standard deviation of the targets is no posterior of theirs.

    Args:
        name: of the method.
        posterior: its posterior.
        num_samples: integer, how many draws are looked at. Defaults to None: all.
    """
    draws = posterior.draws(num_samples, seed=0)
    for weight in posterior.positions.weights:
        if not isinstance(weight.owner, NoiseScale):
            continue
        every = np.reshape(draws[weight.path], (len(draws[weight.path]), -1))
        _check_high(name, posterior, weight.path, every.max(axis=1))
        scale = every.min(axis=1)
        low = int(np.sum(scale <= _LOW))
        if low:
            warn(
                f"The noise that {name} has learned is as low as it can be in {low} of "
                f"{len(scale)} draws: {weight.path} is {scale.min():.2g}. The model reproduces its "
                "targets exactly there, and what it predicts has no width. Give `NoiseScale` a "
                "prior that says how low the noise can be, such as UniformPrior(0.01, 10), the "
                "other weights tighter priors, or the likelihood a known scale."
            )


@share
def check_noise_remains(name: str, log_posterior: Any, position: Any) -> None:
    """Warns where a mode has next to no noise, in a model of at least as many weights as numbers.

    Such a model can go through its targets, and at its mode the noise is what it then leaves.

    Args:
        name: of the method.
        log_posterior: a `LogPosterior`.
        position: vector z without bounds.
    """
    positions, y = log_posterior.positions, np.asarray(log_posterior.observations.y)
    noises = [k for k, w in enumerate(positions.weights) if isinstance(w.owner, NoiseScale)]
    if not noises or not isinstance(log_posterior.likelihoods.structure, _IN_UNITS_OF_TARGETS):
        return
    others = positions.size - sum(positions.sizes[k] for k in noises)
    values = positions.constrain(ops.convert_to_tensor(position))[0]
    spread = float(np.std(y))
    for k in noises:
        scale = float(np.min(ops.convert_to_numpy(values[k])))
        if others >= y.size and scale < _LITTLE * spread:
            warn(
                f"{name} seeks the highest density, and the less noise the higher it is where a "
                f"model can go through its targets. Received: {positions.paths[k]} of {scale:.2g}, "
                f"where the targets have the standard deviation {spread:.2g}, in a model of "
                f"{others} weights for {y.size} targets. Stay at the weights of a `fit` that was "
                "validated, `max_iterations=0` (Laplace then takes `.tune(noise=True)`); give the "
                "weights tighter priors; or average over them: MeanField, SGHMC, NUTS."
            )


def _check_high(name: str, posterior: Any, path: str, scale: Any) -> None:
    if posterior._observations is None or not isinstance(
        posterior.likelihood, _IN_UNITS_OF_TARGETS
    ):
        return
    spread = float(np.std(posterior._observations.y))
    high = int(np.sum(scale > _HIGH * spread))
    if high and spread > 0:
        warn(
            f"The noise that {name} has learned is beyond the targets in {high} of {len(scale)} "
            f"draws: {path} is up to {scale.max():.2g}, where the targets have the standard "
            f"deviation {spread:.2g}. Steps are too large for it: lower the learning rate (by 10)."
        )
