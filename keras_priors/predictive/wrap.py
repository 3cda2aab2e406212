"""Outputs and likelihoods, put together in the structure of the model's outputs."""

from typing import Any

import keras

from keras_priors.functional.check_activations import check_activations
from keras_priors.functional.likelihood_of import likelihood_of
from keras_priors.predictive.predictive import Predictive
from keras_priors.utils.export import share


@share
def wrap(model: Any, outputs: Any, likelihood: Any) -> Any:
    """A `Predictive` for each output.

    Where the user gave no likelihood, the compiled loss is it. Where that is none, the draws are
    of use without: whoever asks for more is told then.
    """
    if keras.tree.is_nested(outputs):
        return _wrap_each(model, outputs, likelihood)
    if keras.tree.is_nested(likelihood):
        raise ValueError(
            f"{model.name!r} has one output, so it takes one likelihood. "
            f"Received: likelihood={likelihood!r}."
        )
    if likelihood is None:
        try:
            likelihood = likelihood_of(model)
        except (TypeError, ValueError) as error:
            return Predictive._without_likelihood(outputs, str(error))
    check_activations(model, likelihood)
    return Predictive(outputs, likelihood)


def _wrap_each(model: Any, outputs: Any, likelihood: Any) -> Any:
    why = "The model has several outputs."
    if likelihood is None:
        try:
            likelihood = likelihood_of(model)
        except (TypeError, ValueError) as error:
            why = str(error)
        if not _same_structure(outputs, likelihood):
            likelihood = keras.tree.map_structure(lambda _: None, outputs)
    elif not _same_structure(outputs, likelihood):
        shapes = keras.tree.map_structure(lambda y: y.shape[2:], outputs)
        raise ValueError(
            f"`likelihood` must have the structure of the outputs of {model.name!r}, with a "
            f"likelihood or None at each. Received: likelihood={likelihood!r} for outputs whose "
            f"rows have the shapes {shapes}."
        )
    check_activations(model, likelihood)
    if isinstance(outputs, dict):
        return {name: _one(y, likelihood[name], why) for name, y in outputs.items()}
    return type(outputs)([_one(y, p, why) for y, p in zip(outputs, likelihood, strict=True)])


def _one(draws: Any, likelihood: Any, why: str) -> Predictive:
    if likelihood is None:
        return Predictive._without_likelihood(draws, why)
    return Predictive(draws, likelihood)


def _same_structure(outputs: Any, likelihood: Any) -> bool:
    if isinstance(outputs, dict):
        return isinstance(likelihood, dict) and sorted(likelihood) == sorted(outputs)
    return isinstance(likelihood, (list, tuple)) and len(likelihood) == len(outputs)
