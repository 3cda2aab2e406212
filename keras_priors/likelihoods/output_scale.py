"""Whether outputs are on the scale that a likelihood takes: logits, probabilities, rates."""

from typing import Any

import keras
import numpy as np

from keras_priors.likelihoods.bernoulli import Bernoulli
from keras_priors.likelihoods.categorical import Categorical
from keras_priors.likelihoods.negative_binomial import NegativeBinomial
from keras_priors.likelihoods.poisson import Poisson
from keras_priors.utils.export import share
from keras_priors.utils.warn import warn

_PROBABILITIES = {"softmax", "sparsemax", "sigmoid", "hard_sigmoid"}
_RATES = {"exponential", "softplus", "relu", "relu6", "squareplus"}
# Rows looked at: a draw of outputs on the wrong scale shows it in its first rows.
_ROWS = 4096
# Half-precision softmax rows add up to one within this.
_SUM_TOLERANCE = 0.01
# Closer for a few rows in full precision: logits of one have the sum 1 to a hundredth by chance,
# as those of an untrained net had. A softmax in float32 has it to 1e-6.
_SUM_TOLERANCE_OF_FEW, _FEW = 1e-5, 8


@share
def advice(likelihood: Any, activation: str) -> str | None:
    """What is wrong with a likelihood after this last activation, and what to write; or None."""
    name = type(likelihood).__name__
    if isinstance(likelihood, (Bernoulli, Categorical)):
        if likelihood.from_logits:
            if activation not in _PROBABILITIES:
                return None
            return (
                f"{name}() takes logits. Received: outputs of a {activation}, which are "
                f"probabilities. Take the activation off, or write {name}(from_logits=False)."
            )
        fit = _PROBABILITIES - ({"sigmoid", "hard_sigmoid"} if name == "Categorical" else set())
        if activation in fit:
            return None
        return _takes_probabilities(likelihood, f"the activation {activation!r} of the last layer")
    if isinstance(likelihood, Poisson) and not likelihood.from_log_rate:
        if activation in _RATES | _PROBABILITIES:
            return None
        return _takes_rates(f"the activation {activation!r} of the last layer")
    if isinstance(likelihood, (Poisson, NegativeBinomial)) and activation in _RATES:
        other = ", or write Poisson(from_log_rate=False)" if name == "Poisson" else ""
        return (
            f"{name} takes the logarithm of the mean. Received: outputs of the activation "
            f"{activation!r}, which are means. Take the activation off{other}."
        )
    return None


@share
def check_outputs_scale(likelihood: Any, outputs: Any) -> None:
    """Refuse values that are no probabilities or rates where those are taken.

    Warns of logits that are all probabilities of classes.

    Args:
        likelihood: the likelihood.
        outputs: NumPy array (n, ..., d), some outputs of a model.
    """
    values = outputs[:_ROWS]
    if isinstance(likelihood, (Bernoulli, Categorical)):
        low, high = float(np.min(values)), float(np.max(values))
        if not (np.isfinite(low) and np.isfinite(high)):
            return
        inside = low >= 0.0 and high <= 1.0
        one = inside
        if isinstance(likelihood, Categorical):
            sums = values.sum(axis=-1)
            chance = sums.size < _FEW and values.dtype in (np.float32, np.float64)
            chance = chance and likelihood.from_logits
            tolerance = _SUM_TOLERANCE_OF_FEW if chance else _SUM_TOLERANCE
            one = inside and bool(np.all(np.abs(sums - 1.0) <= tolerance))
        if likelihood.from_logits:
            if one and isinstance(likelihood, Categorical):
                warn(
                    "Categorical() takes logits. Received: outputs that are probabilities, from "
                    "0 to 1 with the sum 1 in every row. Take the softmax off, or write "
                    "Categorical(from_logits=False).",
                )
        elif not one:
            why = "" if not inside else ", whose sums are not 1"
            raise ValueError(
                _takes_probabilities(likelihood, f"outputs from {low:.4g} to {high:.4g}{why}")
            )
    elif isinstance(likelihood, Poisson) and not likelihood.from_log_rate:
        low = float(np.min(values))
        if low < 0.0:
            raise ValueError(_takes_rates(f"outputs down to {low:.4g}"))


def _takes_probabilities(likelihood: Any, received: str) -> str:
    name = type(likelihood).__name__
    activation = "softmax" if name == "Categorical" else "sigmoid"
    return (
        f"{name}(from_logits=False), which Keras' crossentropy is by its name, takes "
        f"probabilities. Received: {received}. If the outputs are logits, compile with "
        f"loss=keras_priors.likelihoods.{name}() or Keras' loss with from_logits=True; else end "
        f"the model with a {activation}."
    )


def _takes_rates(received: str) -> str:
    return (
        'Poisson(from_log_rate=False), which Keras\' "poisson" is, takes rates. Received: '
        f"{received}. If the outputs are log rates, compile with "
        "loss=keras_priors.likelihoods.Poisson(); else end the model with "
        'activation="exponential".'
    )


@share
def activation_name(function: Any) -> str | None:
    """The name of one of Keras' activations; None of any other function."""
    name = getattr(function, "__name__", None)
    known = isinstance(name, str) and getattr(keras.activations, name, None) is function
    return name if known else None
