"""What a sampler says about its draws: errors where they are worthless, warnings where doubtful."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_priors.inference.arviz import ess_of, import_arviz, rhat_of
from keras_priors.utils.warn import warn

_RHAT, _ESS_OF_CHAIN, _MOST_SCALARS = 1.01, 100, 1000
# Chains so far apart, of which each agrees so well with itself, are in modes of their own.
_RHAT_OF_MODES, _RHAT_OF_ONE = 1.5, 1.1
# The share of trees that may be cut off.
_CUT = 0.01


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


def check_chains(
    name: str,
    chains: Any,
    stats: Mapping[str, Any],
    *,
    most: int,
    mass: str,
    network: bool = False,
) -> None:
    """Warns of chains that disagree, or say little, and of trees that were cut off.

    Of more than a thousand scalars, a thousand evenly spaced ones are looked at.

    Args:
        name: of the sampler.
        chains: array (C, draws, D).
        stats: its statistics (C, draws).
        most: integer, the largest depth of a tree.
        mass: string, the kind of mass.
        network: bool, whether weights are alike but for their order.
    """
    cut = float(np.mean(stats.get("reached_max_treedepth", 0.0)))
    cause = f"{100 * cut:.0f}% of the trees of {name} reached max_tree_depth={most}"
    advice = f"Standardise or centre the inputs, so that weights are less correlated, {_try(mass)}"
    well = _check_draws(name, chains, cause if cut > _CUT else "", network)
    if cut > _CUT and well:
        warn(
            f"{cause}: valid, but slow. {advice}, or give a larger max_tree_depth.",
        )
    elif cut > _CUT:
        warn(
            f"{cause}, and the chains say too little: paths that end before they turn go as "
            f"slowly as a random walk. {advice}, give a larger max_tree_depth, and do not use "
            "these draws meanwhile."
        )


def _check_draws(name: str, chains: Any, cause: str, network: bool) -> bool:
    """Whether the chains have mixed and say enough, as far as that can be told."""
    num_chains, num_draws, size = chains.shape
    if num_draws < 4:
        warn(f"{num_draws} draws of {name} a chain are too few to tell whether it has converged.")
        return False
    try:
        import_arviz()
    except ImportError:
        warn(
            f"R-hat and effective sample size of {name} were not looked at, without ArviZ. "
            'Install it: pip install "keras-priors[arviz]".'
        )
        return True
    picked = np.unique(np.linspace(0, size - 1, min(size, _MOST_SCALARS)).astype(int))
    picked_chains = chains[:, :, picked].astype("float64")
    well = True
    if num_chains > 1:
        rhat = rhat_of(picked_chains)
        well = bool(np.nanmax(rhat) <= _RHAT)
    if not well:
        above = ~(rhat <= _RHAT)
        warn(
            f"R-hat of {name} is {_above(np.nanmax(rhat))}, above {_RHAT}, for "
            f"{int(np.sum(above))} of {len(picked)} weights: the chains have not mixed. "
            + (cause and "What cut their paths off is to be looked at first; see the next warning.")
            + ("" if cause else _of_modes(picked_chains[:, :, above], rhat[above], network))
        )
    ess = ess_of(picked_chains)
    if np.nanmin(ess) >= _ESS_OF_CHAIN * num_chains:
        return well
    warn(
        f"The effective sample size of {name} is {np.floor(np.nanmin(ess)):.0f}, below "
        f"{_ESS_OF_CHAIN} for each of {num_chains} chains: means are uncertain, tails more so. "
        + ("Give more num_samples." if well and not cause else "See the other warning.")
    )
    return False


def _of_modes(chains: Any, rhat: Any, network: bool) -> str:
    """What to do of chains that disagree: do they wander, or does each stay where it is?"""
    half = chains.shape[1] // 2
    each = [chain[: 2 * half].reshape(2, half, -1) for chain in chains]
    apart = (
        half >= 4
        and np.nanmax(rhat) > _RHAT_OF_MODES
        and all(np.max(rhat_of(halves)) <= _RHAT_OF_ONE for halves in each)
    )
    more = "Give more num_warmup and num_samples."
    if not apart:
        alike = " Of a network compare predictions too: weights may change places."
        return more + (alike if network else "")
    if network:
        return (
            "Each agrees with itself: they are in modes of their own. Those of a network are "
            "alike but for the order and the signs of its units, so that predictions may agree "
            "where weights cannot: compare predictions, not weights."
        )
    return (
        "Each agrees with itself: there are several modes, and how much each weighs is not known. "
        'Look at them chain by chain; give tighter priors, or start="prior".'
    )


def _try(mass: str) -> str:
    return {
        "diagonal": 'try mass="auto"',
        "dense": "look for weights whose scale depends on others",
    }.get(mass, 'try mass="dense"')


def _above(value: Any) -> str:
    """A number above 1.01, with so many digits that it is seen to be; at least three."""
    for digits in range(3, 8):
        if float(f"{value:.{digits}f}") > _RHAT:
            return f"{value:.{digits}f}"
    return repr(float(value))
