"""The refusal of priors whose scale is unknown."""

from __future__ import annotations

from keras_priors.inference.log_posterior import LogPosterior


def check_known_scales(owner: str, log_posterior: LogPosterior) -> None:
    """Refuses an unknown scale, for a method that trains the weights alone."""
    positions = log_posterior.positions
    unknown = [positions.paths[scaled.weight] for scaled in positions.scaled]
    if unknown:
        raise ValueError(
            f"{owner} trains weights as `fit` does, which has no place for the scale of a prior. "
            f"Received: {log_posterior.model.name} with a prior of unknown scale on "
            f"{', '.join(unknown)}. Use NUTS, HMC, SGLD, SGHMC, MeanField, LowRank, FullRank or "
            "Laplace, or give a number as scale."
        )
