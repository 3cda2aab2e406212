"""A word where a learned noise has gone as low as it can."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_priors.layers.noise_scale import NoiseScale
from keras_priors.utils.export import share
from keras_priors.utils.warn import warn

# `NoiseScale` goes no lower than 1e-6. A chain leaves that bound slowly, and not far.
_LOW = 1e-5


@share
def check_noise(name: str, posterior: Any, num_samples: int | None = None) -> None:
    """Warns where the scale of a `NoiseScale` is at its least in some draw.

    A model that reproduces its targets exactly has no most likely noise: the density of the
    targets rises without end as the scale falls, and stops where the layer does, at 12.9 nats a
    number. Predictions then have no width.

    Args:
        name: of the method.
        posterior: its posterior.
        num_samples: integer, how many draws are looked at. Defaults to None: all.
    """
    draws = posterior.draws(num_samples, seed=0)
    for weight in posterior.positions.weights:
        if not isinstance(weight.owner, NoiseScale):
            continue
        scale = np.reshape(draws[weight.path], (len(draws[weight.path]), -1)).min(axis=1)
        low = int(np.sum(scale <= _LOW))
        if low:
            warn(
                f"The noise that {name} has learned is as low as it can be in {low} of "
                f"{len(scale)} draws: {weight.path} is {scale.min():.2g}. The model reproduces its "
                "targets exactly there, and what it predicts has no width. Give `NoiseScale` a "
                "prior that says how low the noise can be, such as UniformPrior(0.01, 10), the "
                "other weights tighter priors, or the likelihood a known scale."
            )
