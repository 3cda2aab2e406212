"""Scalars of chains, for pictures of how they have mixed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from keras_priors.functional.as_array import as_array
from keras_priors.inference.prediction_chains import prediction_chains
from keras_priors.inference.sample_posterior import SamplePosterior
from keras_priors.utils.parameters import whole_number
from keras_priors.utils.path_matches import path_matches


def chains_of(
    owner: str, posterior: Any, paths: Any, x: Any, most: int
) -> tuple[dict[str, Any], str]:
    """Arrays (chains, draws) by name, such as "dense/kernel[0, 1]" or "mean[0, 0]"; `most` of them.

    And a word of how many there are, empty where these are all.

    Args:
        owner: str, the function that asks, for messages.
        posterior: a `SamplePosterior`.
        paths: str or sequence of str, paths of weights or patterns of them; None for all.
        x: rows, whose predictions take the place of the weights; or None.
        most: integer, how many scalars, evenly spaced over each array.
    """
    most = whole_number(owner, "most", most)
    if not isinstance(posterior, SamplePosterior):
        raise TypeError(
            f"`{owner}` shows chains of draws, as keras_priors.inference.NUTS and SGHMC give them. "
            f"Received: {type(posterior).__name__}, which has none."
        )
    if x is not None:
        arrays = prediction_chains(posterior, as_array(x), most)
    else:
        number = posterior.num_chains, posterior.num_draws
        wanted = ["*"] if paths is None else [paths] if isinstance(paths, str) else list(paths)
        arrays = {
            path: values.reshape(*number, *values.shape[1:])
            for path, values in posterior.draws().items()
            if any(path_matches(path, pattern) for pattern in wanted)
        }
        if not arrays:
            raise ValueError(
                f"`paths` must name weights. Received: paths={paths!r}. There are: "
                f"{', '.join(posterior.paths)}."
            )
    if next(iter(arrays.values())).shape[1] < 4:
        raise ValueError(
            f"`{owner}` needs chains of at least 4 draws. Received: "
            f"{next(iter(arrays.values())).shape[1]}."
        )
    found = _scalars(arrays, most)
    if x is not None:  # rows beyond the first are not even predicted
        return found, f"\n({len(found)} numbers of the predictions)"
    total = sum(math.prod(values.shape[2:]) for values in arrays.values())
    return found, f"\n({len(found)} of {total} weights)" if total > len(found) else ""


def _scalars(arrays: dict[str, Any], most: int) -> dict[str, Any]:
    """As many of each array as of the others, as far as it goes."""
    arrays = dict(list(arrays.items())[:most])
    each = max(1, most // len(arrays))
    found: dict[str, Any] = {}
    for name, values in arrays.items():
        shape = values.shape[2:]
        flat = values.reshape(*values.shape[:2], -1).astype("float64")
        for k in np.unique(np.linspace(0, flat.shape[2] - 1, min(each, flat.shape[2])).astype(int)):
            place = ", ".join(map(str, np.unravel_index(k, shape))) if shape else ""
            found[f"{name}[{place}]" if place else name] = flat[:, :, k]
    return found
