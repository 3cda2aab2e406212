"""The error for a loss or a penalty that is not finite: what is to blame, and the way out."""

import inspect
from typing import Any

import numpy as np
from keras import ops

from keras_priors.callbacks.penalties import Penalty, to_numpy
from keras_priors.priors.prior import Prior
from keras_priors.utils.keras_internals import all_layers, own_weights

_DIVERGED = (
    "Look for NaN and infinity in the data; else lower the learning rate, set `clipnorm` on the "
    "optimizer, or begin from smaller weights."
)


def check_trained_weights(model: Any) -> None:
    """Raise where a weight is not finite, though loss and penalties may be.

    Under TensorFlow `relu` of NaN is 0: the loss of NaN inputs is finite, their gradient is not.
    """
    bad = [v for v in model.trainable_variables if not bool(ops.all(ops.isfinite(v)))]
    if bad:
        lines = (_count(v.path, np.asarray(to_numpy(v))) for v in bad)
        raise ValueError(f"Training was stopped. {' '.join(lines)} {_DIVERGED}")


def not_finite(
    model: Any, items: list[Penalty], values: np.ndarray, loss: float | None
) -> ValueError:
    """The error to raise.

    Args:
        model: the model that trains.
        items: the penalties of the model.
        values: their values now.
        loss: the loss that Keras reported, or None.
    """
    lines = [
        _describe(model, item, value)
        for item, value in zip(items, values, strict=True)
        if not np.isfinite(value)
    ]
    found = "" if loss is None else f"The loss became {loss}. "
    if lines:
        return ValueError("Training was stopped. " + found + " ".join(lines))
    bounded = [item for item in items if _unguarded(item)]
    if bounded:
        # The step after the bad batch may have brought the weight back.
        names = " ".join(_constrain(model, item) for item in bounded)
        return ValueError(
            f"Training was stopped. {found}All penalties are finite now, but these weights can "
            f"leave the support of their prior: {names}"
        )
    return ValueError(
        f"Training was stopped. {found}All penalties of priors and KLs are finite, so it is the "
        "negative log-likelihood: see that inputs and targets are finite and that the targets "
        f"fit the likelihood. {_DIVERGED}"
    )


def _describe(model: Any, item: Penalty, value: float) -> str:
    prior = _prior(item)
    weight = np.asarray(to_numpy(item.variable))
    path = item.variable.path
    if not np.all(np.isfinite(weight)):
        return f"{_count(path, weight)} {_DIVERGED}"
    if prior is not None and _has_bounds(prior) and _is_point(item):
        low, high = prior.support
        if not prior.support_is_interval:
            return (
                f"{path} is outside the support of its prior {prior!r}, where the penalty is +inf. "
                f"{_constrain(model, item)}"
            )
        outside = np.sum((weight < np.asarray(low)) | (weight > np.asarray(high)))
        if outside:
            return (
                f"{path} has {outside} of {weight.size} elements outside the support of its "
                f"prior {prior!r}, where the penalty is +inf (they range from {weight.min():.4g} "
                f"to {weight.max():.4g}). {_constrain(model, item)}"
            )
    return (
        f"The {'KL' if item.kind == 'kl' else 'penalty'} of {path} is {value}, with "
        f"{item.regularizer if prior is None else prior!r}. {_DIVERGED}"
    )


def _count(path: str, weight: np.ndarray) -> str:
    return (
        f"{path} has {np.sum(~np.isfinite(weight))} of {weight.size} elements that are not finite: "
        "NaN or infinity came in by the data, or training diverged."
    )


def _constrain(model: Any, item: Penalty) -> str:
    name = _argument(model, item)
    layer = item.variable.path.rpartition("/")[0]
    prior = _prior(item)
    if prior is not None and not prior.support_is_interval:
        return (
            f"No interval is that support: give {layer} a `{name}_constraint` of your own that "
            f"keeps the weight in it, and `{name}_initializer=prior.initializer()`, with "
            f"prior = {prior!r}."
        )
    return (
        f"Give {layer} `{name}_constraint=prior.constraint()` and "
        f"`{name}_initializer=prior.initializer()`, with prior = {prior!r}."
    )


def _argument(model: Any, item: Penalty) -> str:
    """What the layer's arguments call this weight: `recurrent` for a `recurrent_kernel`."""
    name: str = item.variable.name
    if item.kind == "kl":
        name = name.removesuffix("_loc")
        owners = [item.regularizer.layer]
    else:
        # By identity: a variable compares its values.
        owners = [
            layer
            for layer in all_layers(model)
            if any(variable is item.variable for variable in own_weights(layer))
        ]
    taken = {
        argument
        for layer in owners
        for base in type(layer).__mro__
        if "__init__" in vars(base)
        for argument in inspect.signature(vars(base)["__init__"]).parameters
    }
    # The weight that DepthwiseConv2D calls `kernel` has the arguments `depthwise_...`.
    for stem in (name, name.removesuffix("_kernel"), "depthwise"):
        if f"{stem}_constraint" in taken:
            return stem
    return name


def _prior(item: Penalty) -> Any:
    prior = item.regularizer.prior if item.kind == "kl" else item.regularizer
    return prior if isinstance(prior, Prior) else None


def _is_point(item: Penalty) -> bool:
    return item.kind != "kl" or item.regularizer.posterior.support == "point"


def _has_bounds(prior: Prior) -> bool:
    low, high = prior.support
    if not prior.support_is_interval:
        return True
    return bool(np.any(np.isfinite(low)) or np.any(np.isfinite(high)))


def _unguarded(item: Penalty) -> bool:
    prior = _prior(item)
    return (
        prior is not None
        and _has_bounds(prior)
        and _is_point(item)
        and item.variable.constraint is None
    )
