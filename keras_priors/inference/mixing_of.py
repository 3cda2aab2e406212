"""R-hat and effective sample size of many scalars at once."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_priors.utils.export import share

# Of more scalars, so many evenly spaced ones are looked at.
_MOST_SCALARS = 300


@share
def mixing_of(chains: Any) -> dict[str, float]:
    """The largest R-hat and the smallest bulk ESS over the scalars of chains (C, draws, ...).

        R-hat = sqrt((W (n - 1) / n + B / n) / W),   ESS = S / (1 + 2 sum_t rho_t)

    of split chains of n draws, S in all, whose ranks have been made normal; R-hat is the larger one
    of theirs and of their distances from the median; the sum is Geyer's. The numbers are those of
    ArviZ (the oracle of the test), which looks at one scalar after the other: 4.7 s for a thousand
    of 4 x 500 draws, where this takes 0.2 s for the 300 that it takes.

    Args:
        chains: array (C, draws, ...).

    Returns:
        A dict with "r_hat" where there are two chains and more, huge where each stood still,
        and "ess_bulk". Scalars that are equal in all draws, or not finite in some, are left out;
        where none is left, or with fewer than four draws a chain, it is empty.

    References:
        - Vehtari et al., 2021, Rank-normalization, folding, and localization, arXiv:1903.08008,
          equations 1 to 4 and 10 to 14.
        - Geyer, 1992, Practical Markov chain Monte Carlo, section 3.3.
    """
    number, draws = np.shape(chains)[:2]
    if draws < 4:
        return {}
    flat, half = np.reshape(chains, (number, draws, -1)), draws // 2
    split = np.concatenate([flat[:, :half], flat[:, draws - half :]])
    split = split[:, :, np.isfinite(split).all(axis=(0, 1))]
    split = split[:, :, np.ptp(split, axis=(0, 1)) > 0]
    size = split.shape[-1]
    if size == 0:
        return {}
    picked = np.unique(np.linspace(0, size - 1, min(size, _MOST_SCALARS)).astype(int))
    # Draws of a scalar side by side in memory: (scalars, chains, draws).
    split = np.ascontiguousarray(np.moveaxis(split[:, :, picked], 2, 0), "float64")
    bulk = _normal_ranks(split)
    found = {}
    if number > 1:
        median = np.median(split, axis=(1, 2), keepdims=True)
        folded = _normal_ranks(np.abs(split - median))
        found["r_hat"] = float(np.fmax(_r_hat(bulk), _r_hat(folded)).max())
    found["ess_bulk"] = float(_ess(bulk).min())
    return found


def _normal_ranks(chains: Any) -> Any:
    from scipy import special, stats

    flat = chains.reshape(len(chains), -1)
    # Equal draws share the mean of their ranks.
    ranks = stats.rankdata(flat, axis=1)
    return special.ndtri((ranks - 0.375) / (flat.shape[1] + 0.25)).reshape(chains.shape)


def _r_hat(chains: Any) -> Any:
    draws = chains.shape[2]
    within = chains.var(axis=2, ddof=1).mean(axis=1)
    between = chains.mean(axis=2).var(axis=1, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):  # chains that stood still
        return np.sqrt((draws - 1) / draws + between / within)


def _ess(chains: Any) -> Any:
    size, number, draws = chains.shape
    means = chains.mean(axis=2, keepdims=True)
    spectrum = np.fft.rfft(chains - means, n=2 * draws, axis=2)
    power = (spectrum.real**2 + spectrum.imag**2).mean(axis=1)
    covariance = np.fft.irfft(power, n=2 * draws, axis=1)[:, :draws] / draws
    within = covariance[:, :1] * draws / (draws - 1)
    total = covariance[:, :1] + means[..., 0].var(axis=1, ddof=1)[:, None]
    rho = 1.0 - (within - covariance) / total
    rho[:, 0] = 1.0
    # Sums of neighbours fall and are positive in a reversible chain: what comes after is noise.
    count = max(1, -(-(draws - 2) // 2))
    pairs = rho[:, : 2 * count].reshape(size, count, 2).sum(axis=2)
    last = np.where((pairs <= 0).any(axis=1), (pairs <= 0).argmax(axis=1), count - 1)[:, None]
    falling = np.minimum.accumulate(pairs, axis=1)
    rest = np.maximum(np.take_along_axis(rho, 2 * last, axis=1), 0.0)[:, 0]
    time = -1.0 + 2.0 * np.where(np.arange(count) < last, falling, 0.0).sum(axis=1) + rest
    return number * draws / np.maximum(time, 1.0 / np.log10(number * draws))
