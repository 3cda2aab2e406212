"""Over how many terms the loss of a model averages for each row of its data."""

from __future__ import annotations

import inspect
import math
import warnings
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_priors.functional.output_shapes import output_shapes
from keras_priors.likelihoods.likelihood import Likelihood
from keras_priors.utils.export import share
from keras_priors.utils.keras_internals import all_layers, is_keras_class, loss_weights


@share
@dataclass(frozen=True)
class Steps:
    """How many observations a row of the data is, as the loss of a model counts them."""

    number: float | None
    """The terms of the mean for one row; None where that is not known."""
    why: str = ""
    """What stands in the way, where it is not sure: the number is this one, or 1 (of a sum)."""
    may_be_masked: bool = False
    """Whether some of them may be masked, so that the mean is over fewer."""


@share
def steps_per_row(model: Any, x: Any = None) -> Steps:
    """What the compiled loss of a built model averages over, apart from the rows.

    Keras' losses and those of `keras_priors.likelihoods` reduce the last axis of the outputs, and
    are averaged over all others: outputs (N, T, C) have N T terms. A loss of the user's own is
    asked, with zeros. A model without a loss yet is taken to get one of the former.

    Args:
        model: a built `keras.Model`, compiled or not.
        x: rows in the structure of the inputs, of which shapes are read; they tell how long
            sequences of variable length are. Defaults to None.
    """
    shapes = output_shapes(model, x)
    if shapes is None:
        return Steps(None)
    named: dict[Any, Any] = shapes if isinstance(shapes, dict) else dict(enumerate(shapes))
    losses = _losses(model, named)
    inner = {name: shape[1:-1] for name, shape in named.items() if losses[name] is not None}
    if any(None in axes for axes in inner.values()):
        return Steps(None, f"outputs of shape {list(named.values())}, with axes of unknown size")
    most = max((math.prod(axes) for axes in inner.values()), default=1)
    if most > 1 and _computes_its_loss(model):
        why = f"a model that computes its loss itself, with outputs {list(named.values())}"
        return Steps(most, why, _may_be_masked(model))
    terms = {name: _terms(losses[name], named[name]) for name in inner}
    if None in terms.values():
        return Steps(None, f"the loss {model.loss!r}, of which the number of terms is not known")
    number, why = _common(model, terms)
    return Steps(number, why, most > 1 and _may_be_masked(model))


def _computes_its_loss(model: Any) -> bool:
    if model.compiled and model.loss is not None:
        return False
    own, keras_own = type(model), keras.Model
    return (
        own.compute_loss is not keras_own.compute_loss or own.train_step is not keras_own.train_step
    )


def _losses(model: Any, named: dict[Any, Any]) -> dict[Any, Any]:
    """The loss of each output, `mse` where the model has none yet; None where it has no part."""
    loss = model.loss if model.compiled else None
    if loss is None:
        return dict.fromkeys(named, "mse")
    if isinstance(loss, dict) and "class_name" not in loss:
        if set(loss) <= set(named):
            return {name: loss.get(name) for name in named}
        loss = list(loss.values())
    if isinstance(loss, (list, tuple)) and len(loss) == len(named):
        return dict(zip(named, loss, strict=True))
    if isinstance(loss, (list, tuple)):
        loss = next((one for one in loss if one is not None), "mse")
    return dict.fromkeys(named, loss)


def _terms(loss: Any, shape: tuple[int, ...]) -> float | None:
    """How many terms a loss has for a row of outputs of this shape."""
    maker: Any = loss if inspect.isclass(loss) or inspect.isroutine(loss) else type(loss)
    if isinstance(loss, (str, dict, Likelihood)) or is_keras_class(maker):
        return math.prod(shape[1:-1])
    function = loss.call if isinstance(loss, keras.losses.Loss) else loss
    outputs = np.zeros((2, *shape[1:]), "float32")
    for target in (outputs, outputs[..., 0]):  # classes may be numbers or one-hot
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = tuple(function(*map(keras.ops.convert_to_tensor, (target, outputs))).shape)
        except Exception:  # noqa: BLE001 - a user's code, asked for advice: then it has none
            continue
        if found and found[0] == 2:
            return float(math.prod(found) / 2)
    # One that is a number already has taken its mean, or sum, where nobody sees it.
    return 1 if len(shape) < 3 else None


def _common(model: Any, terms: dict[Any, Any]) -> tuple[float | None, str]:
    """The terms of a row in the sum of the means of several losses, where there is one number."""
    if len(set(terms.values())) <= 1:
        return next(iter(terms.values()), 1), ""
    weights = keras.tree.flatten(loss_weights(model)) if model.compiled else []
    weights = [1.0 if weight is None else weight for weight in weights] or [1.0] * len(terms)
    if len(weights) == len(terms) and all(weights):
        each = [number / weight for number, weight in zip(terms.values(), weights, strict=True)]
        if np.allclose(each, each[0]):
            return float(each[0]), ""
    return None, (
        f"losses of several outputs with {terms} terms for each row, so that no number is right "
        f"for all; with `compile(loss_weights={list(terms.values())})` the number of rows is"
    )


def _may_be_masked(model: Any) -> bool:
    return any(
        isinstance(layer, keras.layers.Masking) or getattr(layer, "mask_zero", False)
        for layer in all_layers(model)
    )
