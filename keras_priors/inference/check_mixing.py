"""What a sampler says of chains that have not mixed."""

from __future__ import annotations

from typing import Any

from keras_priors.inference.sample_posterior import ASTRAY
from keras_priors.utils.export import share
from keras_priors.utils.warn import warn


@share
def check_mixing(name: str, posterior: Any, r_hat: float, ess: float, advice: str) -> None:
    """Warns where chains predict differently or were thrown off, or their draws say little.

    Predictions are judged and not weights: a network has modes that are alike but for the order and
    signs of its units, so that chains which differ in weights may be the same functions.

    Args:
        name: of the method.
        posterior: a `SamplePosterior` with the rows of its data.
        r_hat: float, above which R-hat is reported.
        ess: float, below which the bulk ESS of all chains is reported.
        advice: what to do, the end of the warning.
    """
    if posterior.num_draws < 4:
        warn(
            f"{posterior.num_draws} draws of {name} a chain are too few to tell whether it has "
            "converged."
        )
        return
    try:
        found = posterior._diagnosed()
    except ImportError:
        warn(
            f"R-hat and effective sample size of {name} were not looked at, without ArviZ. "
            'Install it: pip install "keras-priors[arviz]".'
        )
        return
    worst, weights = found["predictions"], found["weights"]
    said = []
    if worst.get("r_hat", 1.0) > r_hat:
        said.append(
            f"R-hat of what {name} predicts is {worst['r_hat']:.4g}, above {r_hat:g}: its chains "
            "have not mixed"
        )
    if worst.get("ess_bulk", ess) < ess:
        total = posterior.num_chains * posterior.num_draws
        said.append(
            f"the effective sample size of what {name} predicts is {worst['ess_bulk']:.0f} of "
            f"{total} draws, below {ess:g}: means of predictions are uncertain by "
            f"{worst['ess_bulk'] ** -0.5:.2f} of their standard deviation, tails by more"
        )
    if worst.get("astray"):
        total = posterior.num_chains * posterior.num_draws
        warn(
            f"Draws of {name} must explain the data about as well as each other. Received: "
            f"{worst['astray']} of {total} that are more than {ASTRAY:g} nats worse than the "
            "median draw, for each number of a target: a step too large threw a chain off, and "
            "means of predictions have these draws in them. Lower the `learning_rate`."
        )
    if said:
        text = "; ".join(said)
        of_weights = (
            f" (R-hat of the weights: {weights['r_hat']:.3g})" if "r_hat" in weights else ""
        )
        warn(f"{text[0].upper()}{text[1:]}{of_weights}. {advice}")
