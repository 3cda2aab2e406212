"""The Bernoulli likelihood."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.likelihoods.elementwise import ElementwiseLikelihood
from keras_priors.likelihoods.link import (
    checked_link,
    information,
    log_probability,
    probability,
)
from keras_priors.likelihoods.parameters import flag
from keras_priors.utils.export import export


@export()
class Bernoulli(ElementwiseLikelihood):
    """Targets of 0 or 1, independent given the outputs: two classes, or several labels.

        -log p(y | f) = sum_d [ softplus(f_d) where y_d = 0, softplus(-f_d) where y_d = 1 ]

    in nats, f the logits; with the probit link -log Phi(-f_d) and -log Phi(f_d). On several outputs
    it is their sum, where the stock loss `"binary_crossentropy"` takes their mean.

    Args:
        from_logits: bool. Whether the outputs are logits (the default) or, where False,
            probabilities of a one, as a sigmoid gives them. Probabilities are taken as at least
            `keras.config.epsilon()`, as Keras' losses do, because a sigmoid saturates; outside
            [0, 1] the loss is +inf.
        link: "logit", or "probit": the probability of a one is Phi(f), that of f plus standard
            normal noise above 0. Defaults to "logit".
        reduction, name, dtype: see `Likelihood`.

    Shapes:
        outputs (n, ..., d); targets (n, ..., d), or (n, ...) where d is 1. A target that is
        neither 0 nor 1 has no density: soft labels give +inf.

    Raises:
        TypeError: `from_logits` is not a bool.
        ValueError: another `link`, or "probit" with `from_logits=False`, the target does not fit
            the outputs, or `reduction="sum"`.

    Example:
        >>> import numpy as np
        >>> import keras_priors as kp
        >>> likelihood = kp.likelihoods.Bernoulli()
        >>> round(float(likelihood(np.array([1, 0]), np.array([[0.0], [0.0]]))), 4)
        0.6931

    References:
        - Bishop, 2006, Pattern recognition and machine learning, equations 4.90 and 5.22;
          section 4.3.5 for the probit.
    """

    is_discrete = True
    _parameters = ("from_logits", "link")

    def __init__(
        self,
        from_logits: bool = True,
        link: str = "logit",
        *,
        reduction: str = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(reduction=reduction, name=name, dtype=dtype)
        self.from_logits = flag("Bernoulli", "from_logits", from_logits)
        self.link = checked_link("Bernoulli", link)
        if not self.from_logits and self.link != "logit":
            raise ValueError(
                "Probabilities have no link. Received: Bernoulli with from_logits=False and "
                f"link={link!r}. Leave one of the two out."
            )

    def probabilities(self, outputs: Any) -> Any:
        """Probability of a one, for each of the outputs."""
        outputs = self._checked(outputs)
        return probability(self.link, outputs) if self.from_logits else outputs

    def mean(self, outputs: Any) -> Any:
        """Probability of a one."""
        return self.probabilities(outputs)

    def variance(self, outputs: Any) -> Any:
        """p (1 - p)."""
        outputs = self._checked(outputs)
        if self.from_logits:
            return probability(self.link, outputs) * probability(self.link, -outputs)
        return outputs * (1.0 - outputs)

    def _information_of_natural(self, f: Any) -> Any:
        """Fisher information of each f; of the logit where outputs are probabilities."""
        return information(self.link, f)

    def _inside_support(self, y: Any) -> Any:
        return ops.logical_or(y == 0.0, y == 1.0)

    def _log_density(self, y: Any, outputs: Any) -> Any:
        if self.from_logits:
            # One operation, exact in its relative error also where the probability is near one.
            return log_probability(self.link, (2.0 * y - 1.0) * outputs)
        given = ops.where(y == 1.0, outputs, 1.0 - outputs)
        valid = ops.logical_and(outputs >= 0.0, outputs <= 1.0)
        least = ops.cast(keras.config.epsilon(), outputs.dtype)
        # Not `ops.maximum`: on PyTorch it rounds float64 to float32.
        log_given = ops.log(ops.where(given > least, given, least))
        return ops.where(valid, log_given, ops.cast(-np.inf, outputs.dtype))

    def _distribution(self, outputs: Any) -> Any:
        if self.from_logits and self.link == "logit":
            return backend.distribution("Bernoulli", logits=outputs)
        return backend.distribution("Bernoulli", probs=self.probabilities(outputs))

    def __repr__(self) -> str:
        link = "" if self.link == "logit" else f", link={self.link!r}"
        return f"Bernoulli(from_logits={self.from_logits}{link})"
