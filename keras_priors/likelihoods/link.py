"""The links of binary outcomes: the probability of a one, from an output f."""

from typing import Any

from keras import ops

from keras_priors.likelihoods.special import log_normal_cdf, log_normal_density, log_normal_tails
from keras_priors.utils.export import share

LINKS = ("logit", "probit")


def checked_link(owner: str, link: Any) -> str:
    """`link` where it is one."""
    if link not in LINKS:
        raise ValueError(f'`link` of {owner} must be "logit" or "probit". Received: link={link!r}.')
    return str(link)


def log_probability(link: str, f: Any) -> Any:
    """log p, p = sigmoid(f) or Phi(f); of 1 - p it is that of -f."""
    return -ops.softplus(-f) if link == "logit" else log_normal_cdf(f)


def probability(link: str, f: Any) -> Any:
    """p = sigmoid(f) or Phi(f)."""
    return ops.sigmoid(f) if link == "logit" else ops.exp(log_normal_cdf(f))


def information(link: str, f: Any) -> Any:
    """Fisher information of f in one binary outcome: p'^2 / (p (1 - p))."""
    if link == "logit":
        return ops.sigmoid(f) * ops.sigmoid(-f)
    log_p, log_q = log_normal_tails(f)
    return ops.exp(2.0 * log_normal_density(f) - log_p - log_q)


@share
def log_probabilities(link: str, f: Any) -> tuple[Any, Any]:
    """log p and log(1 - p)."""
    if link == "logit":
        return -ops.softplus(-f), -ops.softplus(f)
    return log_normal_tails(f)
