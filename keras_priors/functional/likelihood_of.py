"""The likelihood that a model was compiled with."""

from typing import Any

from keras_priors.likelihoods.get import get
from keras_priors.utils.export import share


@share
def likelihood_of(model: Any) -> Any:
    """The likelihood of a compiled model, read from its loss.

    Args:
        model: a compiled `keras.Model`.

    Returns:
        A `Likelihood`; for a model compiled with a list or dict of several losses the same
        structure of likelihoods, with None for an output without a loss.

    Raises:
        ValueError: the model is not compiled, has no loss, or a loss that is no likelihood.
    """
    if not model.compiled or model.loss is None:
        state = "compiled without a loss" if model.compiled else "not compiled"
        raise ValueError(
            "The likelihood is read from the loss of a compiled model. "
            f"Received: model {model.name!r}, {state}. Give the likelihood, such as "
            "likelihood=keras_priors.likelihoods.Categorical(), or compile the model with "
            "loss=keras_priors.likelihoods.Categorical()."
        )
    loss = model.loss
    if isinstance(loss, (list, tuple)) and len(loss) == 1:
        (loss,) = loss
    elif isinstance(loss, dict) and len(loss) == 1:
        (loss,) = loss.values()
    return _of_loss(loss)


def _of_loss(loss: Any) -> Any:
    if loss is None:
        return None
    if isinstance(loss, dict) and "class_name" not in loss:
        return {name: _of_loss(each) for name, each in loss.items()}
    if isinstance(loss, (list, tuple)):
        return [_of_loss(each) for each in loss]
    return get(loss)
