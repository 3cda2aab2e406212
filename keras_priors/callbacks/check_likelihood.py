"""Whether the loss of a model is what `nll` and `elbo` say that it is."""

from typing import Any

import keras
import numpy as np

from keras_priors.functional.likelihood_of import likelihood_of
from keras_priors.functional.output_shapes import output_shapes
from keras_priors.utils.keras_internals import loss_weights

_RULE = (
    "BayesianMonitor logs `nll` and `elbo`, so the model must be compiled with a likelihood as "
    "its loss."
)


def check_likelihood(model: Any) -> None:
    """Refuse a model whose compiled loss is no negative log-likelihood.

    What is known of the loss is checked. A model that computes its loss itself and was compiled
    without one is trusted.
    """
    if model.compiled and model.loss is None and _computes_its_loss(model):
        return
    if not model.compiled or model.loss is None:
        raise ValueError(
            f"{_RULE} Received: {model.name}, compiled without a loss. Write, for example, "
            "`loss=keras_priors.likelihoods.Categorical()` in `compile`, a `compute_loss` of the "
            "model's own, or leave the callback out."
        )
    try:
        likelihood_of(model)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{_RULE} {error} Or leave the callback out.") from error
    weights = keras.tree.flatten(loss_weights(model))
    weights = [1.0 if weight is None else weight for weight in weights]
    if not np.all(np.equal(weights, 1.0)):
        raise ValueError(
            f"{_RULE} Received: {model.name} with loss_weights={weights}, under which the sum is "
            "no log-likelihood. Leave `loss_weights` out of `compile` and give each likelihood "
            "the scale of its noise, or leave the callback out."
        )


def check_outputs(model: Any) -> None:
    """Refuse stock losses that take a mean over outputs where there are several."""
    if model.loss is None:
        return
    likelihoods, shapes = likelihood_of(model), output_shapes(model)
    if shapes is None or (isinstance(likelihoods, dict) and not isinstance(shapes, dict)):
        return
    if isinstance(likelihoods, dict) and isinstance(shapes, dict):
        pairs = [(likelihoods[name], shapes[name]) for name in likelihoods if name in shapes]
    else:
        listed = list(shapes.values()) if isinstance(shapes, dict) else shapes
        if isinstance(model.loss, dict):  # for one of them, without its name here
            return
        # One loss for several outputs is that of each.
        each = likelihoods if isinstance(likelihoods, list) else [likelihoods] * len(listed)
        pairs = list(zip(each, listed, strict=False))
    for likelihood, shape in pairs:
        if likelihood is not None and likelihood._averages_outputs is not None and len(shape) > 1:
            likelihood._check_outputs(shape)


def _computes_its_loss(model: Any) -> bool:
    own, keras_own = type(model), keras.Model
    return (
        own.compute_loss is not keras_own.compute_loss or own.train_step is not keras_own.train_step
    )
