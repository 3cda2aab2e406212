"""The base class of likelihoods that know what lies below and above a number."""

from abc import abstractmethod
from typing import Any

from keras_priors.likelihoods.elementwise import ElementwiseLikelihood


class CensorableLikelihood(ElementwiseLikelihood):
    """Numbers whose distribution function is known, so that `Censored` takes it. Abstract."""

    _low = -float("inf")
    """The lower end of the support."""

    @abstractmethod
    def _log_tails(self, y: Any, outputs: Any) -> tuple[Any, Any]:
        """log P(Y <= y) and log P(Y > y) of each element, at y inside the support."""
