"""An unknown scale that a prior holds."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from keras_priors.utils.export import share


@share
@dataclass(frozen=True, eq=False)
class LatentScale:
    """The scale of a normal prior as one more unknown, non-centred.

    w = loc + scale_of(s) z with z ~ N(0, 1) and s ~ prior.
    """

    name: str
    """What follows the path of the weight in that of s."""
    prior: Any
    """p(s) on s > 0, elements independent; None where it has none."""
    per: str
    """How many there are: see `Learnable`; or "element"."""
    loc: Any
    """Float or array that broadcasts against the weight."""
    initial: float
    """s to start with, where the weight says nothing of it."""
    scale_of: Callable[[Any], Any]
    """The standard deviation of w given s, elementwise."""
