"""What a sampler says about its draws: errors where they are worthless, warnings where doubtful."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_priors.inference.arviz import import_arviz
from keras_priors.utils.warn import warn

_RHAT, _ESS_OF_CHAIN, _MOST_SCALARS = 1.01, 100, 1000


def check_divergences(name: str, stats: Mapping[str, Any], target_accept: float) -> None:
    """Refuses draws all of which diverged; warns of some."""
    diverging = stats["diverging"]
    if diverging.all():
        raise ValueError(
            f"{name} needs a log posterior that it can follow. Received: {diverging.size} "
            f"transitions that all diverged, at a step size of {stats['step_size'][0, -1]:.3g}. "
            "Standardise inputs and targets, give weights without a prior one, look for a scale "
            'that can go to zero, and start elsewhere (start="prior").'
        )
    if diverging.any():
        warn(
            f"{int(diverging.sum())} of {diverging.size} transitions of {name} diverged: it does "
            "not follow the log posterior where it bends most, and draws may be biased. Try a "
            f"target_accept above {target_accept}, tighter priors, standardised inputs."
        )


def check_depth(name: str, stats: Mapping[str, Any], max_tree_depth: int) -> None:
    """Warns of trees that were cut off."""
    cut = stats["reached_max_treedepth"]
    if cut.mean() > 0.01:
        warn(
            f"{100 * cut.mean():.0f}% of the trees of {name} reached max_tree_depth="
            f"{max_tree_depth}: valid, but slow. Standardise or centre the inputs, so that weights "
            'are less correlated, try mass="dense", or give a larger max_tree_depth.',
        )


def check_convergence(name: str, chains: Any) -> None:
    """Warns of chains (C, draws, D) that disagree, or that say little.

    Of more than a thousand scalars, a thousand evenly spaced ones are looked at.
    """
    num_chains, num_draws, size = chains.shape
    if num_draws < 4:
        warn(f"{num_draws} draws of {name} a chain are too few to tell whether it has converged.")
        return
    try:
        az = import_arviz()
    except ImportError:
        warn(
            f"R-hat and effective sample size of {name} were not looked at, without ArviZ. "
            'Install it: pip install "keras-priors[arviz]".'
        )
        return
    picked = np.unique(np.linspace(0, size - 1, min(size, _MOST_SCALARS)).astype(int))
    data = az.convert_to_dataset({"z": chains[:, :, picked].astype("float64")})
    if num_chains > 1:
        with np.errstate(divide="ignore", invalid="ignore"):
            # A chain that stood still has no variance, and so an infinite R-hat: that is the news.
            rhat = az.rhat(data)["z"].values
        if not np.nanmax(rhat) <= _RHAT:
            warn(
                f"R-hat of {name} is {_above(np.nanmax(rhat))}, above {_RHAT}, for "
                f"{int(np.sum(~(rhat <= _RHAT)))} of {len(picked)} weights: the chains have not "
                "mixed. Give more num_warmup and num_samples. A network has modes that are alike "
                "but for the order of its units: there compare predictions, not weights."
            )
    ess = az.ess(data, method="bulk")["z"].values
    if not np.nanmin(ess) >= _ESS_OF_CHAIN * num_chains:
        warn(
            f"The effective sample size of {name} is {np.floor(np.nanmin(ess)):.0f}, below "
            f"{_ESS_OF_CHAIN} for each of {num_chains} chains: means are uncertain, tails more "
            "so. Give more num_samples."
        )


def _above(value: Any) -> str:
    """A number above 1.01, with so many digits that it is seen to be; at least three."""
    for digits in range(3, 8):
        if float(f"{value:.{digits}f}") > _RHAT:
            return f"{value:.{digits}f}"
    return repr(float(value))
