"""The worst R-hat and effective sample size of many scalars."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from keras_priors.inference.arviz import import_arviz, rhat_of
from keras_priors.utils.export import share

# Of more scalars, so many evenly spaced ones are looked at: a millisecond each, of 4 x 125 draws.
_MOST_SCALARS = 100


@share
def mixing_of(chains: Any) -> dict[str, float]:
    """The largest R-hat and the smallest bulk ESS over the scalars of chains (C, draws, ...).

    By ArviZ, of ranks that have been made normal (Vehtari et al., 2021, arXiv:1903.08008).

    Args:
        chains: array (C, draws, ...).

    Returns:
        A dict with "r_hat" where there are two chains and more, infinite where each stood still,
        and "ess_bulk". Scalars that are equal in all draws, or not finite in some, are left out;
        where none is left, or with fewer than four draws a chain, it is empty.

    Raises:
        ImportError: without ArviZ.
    """
    number, draws = np.shape(chains)[:2]
    if draws < 4:
        return {}
    flat = np.reshape(chains, (number, draws, -1)).astype("float64")
    flat = flat[:, :, np.isfinite(flat).all(axis=(0, 1))]
    flat = flat[:, :, np.ptp(flat, axis=(0, 1)) > 0]
    size = flat.shape[-1]
    if size == 0:
        return {}
    picked = np.unique(np.linspace(0, size - 1, min(size, _MOST_SCALARS)).astype(int))
    az = import_arviz()
    with warnings.catch_warnings():
        # Many short chains look to it like an array whose axes were exchanged.
        warnings.filterwarnings("ignore", "More chains", UserWarning)
        data = az.convert_to_dataset({"z": flat[:, :, picked]})
    found = {}
    with np.errstate(divide="ignore", invalid="ignore"):  # chains that stood still
        if number > 1:
            found["r_hat"] = float(np.max(rhat_of(flat[:, :, picked])))
        found["ess_bulk"] = float(np.nanmin(az.ess(data, method="bulk")["z"].values))
    return found
