"""A scale of a prior that is learned with the weights."""

from typing import Any

import keras
import numpy as np

from keras_priors.priors.prior import Prior
from keras_priors.utils.export import export
from keras_priors.utils.parameters import positive

PER = ("tensor", "input", "unit")


@export("keras_priors")
class Learnable:
    """A scale of a prior that is learned with the weights.

    `NormalPrior(0, scale=Learnable(1.0))` is empirical Bayes: the layer has log(scale) as one more
    variable, and `fit` maximizes the evidence lower bound by it too (type-II maximum likelihood,
    as far as the bound is tight).

    With a prior over the scale it is a hierarchical model: the layer has a log-normal posterior
    q(scale), and the loss holds, divided by `num_data`,

        E_q(scale)[KL(q(w) ‖ N(loc, scale^2))] + KL(q(scale) ‖ prior)      (nats)

    The first term is exact; the second as for every posterior of that layer.
    `NormalPrior(0, scale=HalfCauchyPrior(1.0))` is short for
    `NormalPrior(0, scale=Learnable(prior=HalfCauchyPrior(1.0)))`.

    In a variational layer it is a description, like a posterior that is not built: each weight has
    a scale of its own, `layer.prior_scales["kernel"]` with its `mean()` and `stddev()`.

    On a plain layer the scale needs a prior, and `fit` does not take it. `inference.LogPosterior`,
    `NUTS`, `HMC`, `SGLD`, `SGHMC`, `MeanField`, `LowRank`, `FullRank` and `Laplace` do: the
    posterior has the scales s beside the weights, as "dense/kernel/prior_scale", and moves in the
    non-centred coordinates z = (w - loc) / s and log s, which have no funnel at small s. `MAP`
    takes it where the joint density has a highest point, as with `InverseGammaPrior`.

    Args:
        initial: float greater than 0, the scale, or the median of its posterior, to start with.
            Defaults to 1.
        per: "tensor" for one scale, "input" for one for each input of the layer (automatic
            relevance determination: the scale of an input that tells nothing goes to zero), "unit"
            for one for each output. A bias counts as the weights of one input. Defaults to
            "tensor".
        prior: a prior of independent elements on w > 0, such as `HalfCauchyPrior(1.0)`, or None
            for empirical Bayes. Defaults to None.

    Raises:
        TypeError: `initial` is not a number, or `prior` not a prior.
        ValueError: `initial` is not one positive number, `per` is none of the three, or the
            support of `prior` is not the positive half-line.

    Example:
        >>> import keras_priors as kp
        >>> prior = kp.NormalPrior(0.0, scale=kp.Learnable(0.5, per="input"))
        >>> layer = kp.VariationalDense(3, kernel_prior=prior)
        >>> layer.build((None, 2))
        >>> tuple(layer.prior_scales["kernel"].mean().shape)
        (2, 1)

    References:
        - MacKay, 1992, Bayesian interpolation, Neural Computation 4 (the evidence for a scale).
        - Papaspiliopoulos, Roberts and Skold, 2007, A general framework for the parametrization of
          hierarchical models (non-centred coordinates).
        - Neal, 1996, Bayesian learning for neural networks, section 4.3 (automatic relevance
          determination).
        - Blundell et al., 2015, section 3.3, arXiv:1505.05424, where learning the scale by
          gradients did not help: measure whether it does for you.
    """

    def __init__(
        self, initial: float = 1.0, per: str = "tensor", prior: Prior | None = None
    ) -> None:
        number = positive("Learnable", "initial", initial)
        if np.ndim(number):
            raise ValueError(f"`initial` of Learnable must be one number. Received: {initial!r}.")
        if per not in PER:
            raise ValueError(f"`per` of Learnable must be one of {PER}. Received: per={per!r}.")
        self.initial = float(number)
        self.per = per
        self.prior = _checked(prior)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments, JSON-serializable."""
        prior = None if self.prior is None else keras.saving.serialize_keras_object(self.prior)
        return {"initial": self.initial, "per": self.per, "prior": prior}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Learnable":
        """The object that `get_config` described."""
        prior = config["prior"]
        if isinstance(prior, dict):
            prior = keras.saving.deserialize_keras_object(prior)
        return cls(**{**config, "prior": prior})

    def __repr__(self) -> str:
        return f"Learnable(initial={self.initial}, per={self.per!r}, prior={self.prior!r})"


def _checked(prior: Any) -> Prior | None:
    if prior is None:
        return None
    if not isinstance(prior, Prior):
        raise TypeError(
            "`prior` of Learnable must be a prior such as keras_priors.HalfCauchyPrior(1.0), or "
            f"None. Received: {prior!r} of type {type(prior).__name__}."
        )
    low, high = prior.support
    if not (np.all(np.asarray(low) == 0.0) and np.all(np.isposinf(high)) and prior.factorized):
        raise ValueError(
            "A prior over a scale must have independent elements on the positive half-line. "
            f"Received: {prior!r} with support [{low}, {high}]. Use keras_priors.HalfCauchyPrior, "
            "HalfNormalPrior, GammaPrior, LogNormalPrior or another of that kind."
        )
    return prior
