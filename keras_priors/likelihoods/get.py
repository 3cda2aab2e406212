"""The likelihood that a loss is."""

import inspect
from typing import Any

import keras

from keras_priors.likelihoods.bernoulli import Bernoulli
from keras_priors.likelihoods.categorical import Categorical
from keras_priors.likelihoods.likelihood import Likelihood
from keras_priors.likelihoods.poisson import Poisson
from keras_priors.likelihoods.refusals import refuse, refuse_reduction
from keras_priors.utils.export import export

_STOCK = {
    # The stock losses that are log densities (up to constants), as functions and as classes.
    keras.losses.binary_crossentropy: "binary_crossentropy",
    keras.losses.BinaryCrossentropy: "binary_crossentropy",
    keras.losses.categorical_crossentropy: "categorical_crossentropy",
    keras.losses.CategoricalCrossentropy: "categorical_crossentropy",
    keras.losses.sparse_categorical_crossentropy: "sparse_categorical_crossentropy",
    keras.losses.SparseCategoricalCrossentropy: "sparse_categorical_crossentropy",
    keras.losses.poisson: "poisson",
    keras.losses.Poisson: "poisson",
}
# What a stock loss may not have, and why it is then no log density.
_DEFAULTS = {
    "label_smoothing": (0.0, "smoothed labels are no observations"),
    "ignore_class": (None, "ignored targets belong in a `sample_weight` of 0"),
    "axis": (-1, "classes are on the last axis"),
}


@export()
def get(identifier: Any) -> Likelihood:
    """Return the likelihood for a likelihood, or for a stock loss of Keras that is one.

    The stock losses `binary_crossentropy`, `categorical_crossentropy`,
    `sparse_categorical_crossentropy` and `poisson` are understood as names, functions, classes
    and instances, with their `from_logits`. On several outputs `binary_crossentropy` and
    `poisson` take the mean where the log density is the sum: the likelihood that comes back
    then refuses outputs whose last axis is larger than 1.

    Args:
        identifier: a `Likelihood`, its class or its serialized config; or one of the stock
            losses above.

    Returns:
        A `Likelihood`. An instance is returned as it is.

    Raises:
        ValueError: the loss is no log density of the targets; the message says why, and what to
            write. So for "mse": a mean over outputs that does not know its noise.
        TypeError: `identifier` is nothing that describes a loss.

    Example:
        >>> import keras_priors as kp
        >>> kp.likelihoods.get("sparse_categorical_crossentropy")
        Categorical(from_logits=False)
        >>> kp.likelihoods.get("mse")
        Traceback (most recent call last):
        ...
        ValueError: "mean_squared_error" is not a likelihood: ...
    """
    if isinstance(identifier, Likelihood):
        return identifier
    loss = _resolve(identifier)
    if isinstance(loss, Likelihood):
        return loss
    # A subclass of a stock loss may compute anything: only the class itself is known.
    key = loss if inspect.isroutine(loss) else type(loss)
    name = _STOCK.get(key) if key.__hash__ is not None else None
    if name is None:
        raise refuse(loss)
    from_logits = _checked_settings(loss, name) if isinstance(loss, keras.losses.Loss) else False
    if name.endswith("categorical_crossentropy"):
        return Categorical(from_logits=from_logits)
    likelihood: Likelihood = (
        Poisson(from_log_rate=False) if name == "poisson" else Bernoulli(from_logits=from_logits)
    )
    likelihood._averages_outputs = name
    return likelihood


def _resolve(identifier: Any) -> Any:
    """A likelihood, a Keras loss or a function."""
    if isinstance(identifier, (list, tuple)) or (
        isinstance(identifier, dict) and "class_name" not in identifier
    ):
        raise ValueError(
            "One likelihood explains one output. "
            f"Received: a {type(identifier).__name__} of {len(identifier)} losses. Give the "
            "likelihood of each output on its own."
        )
    if isinstance(identifier, str) and identifier.lower() in ("crossentropy", "ce"):
        raise ValueError(
            "A likelihood must be known before the targets are seen. "
            f'Received: {identifier!r}. Write "binary_crossentropy" or '
            '"sparse_categorical_crossentropy", or keras_priors.likelihoods.Bernoulli() or '
            "Categorical()."
        )
    if isinstance(identifier, str):
        try:
            return keras.losses.get(identifier)
        except ValueError as error:
            raise ValueError(
                "A likelihood by name must be the name of a stock loss that is one: "
                f"{sorted(set(_STOCK.values()))}. Received: {identifier!r}. Use one of them, or "
                "an instance such as keras_priors.likelihoods.Normal(scale=1.0)."
            ) from error
    if isinstance(identifier, dict) or inspect.isclass(identifier):
        is_loss = isinstance(identifier, dict) or issubclass(identifier, keras.losses.Loss)
        if is_loss:
            return keras.losses.get(identifier)
    if callable(identifier) and not inspect.isclass(identifier):
        return identifier
    raise TypeError(
        "A likelihood must be an instance of keras_priors.likelihoods, or a stock loss that is "
        f"one. Received: {identifier!r} of type {type(identifier).__name__}. Write, for example, "
        "keras_priors.likelihoods.Normal(scale=1.0)."
    )


def _checked_settings(loss: keras.losses.Loss, name: str) -> bool:
    """The `from_logits` of a stock loss; settings with which it is no log density are refused."""
    config = loss.get_config()
    refuse_reduction(name, config["reduction"])
    for setting, (default, reason) in _DEFAULTS.items():
        value = config.get(setting, default)
        if value != default:
            raise ValueError(
                f"{name!r} with {setting}={value!r} is not a likelihood: {reason}. Leave it out."
            )
    return bool(config.get("from_logits", False))
