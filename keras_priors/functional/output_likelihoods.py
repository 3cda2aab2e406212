"""The likelihood of each output of a model, and their sum."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors import likelihoods
from keras_priors.functional.likelihood_of import likelihood_of
from keras_priors.likelihoods.output_scale import check_outputs_scale
from keras_priors.utils.export import share
from keras_priors.utils.keras_internals import loss_weights


@share
class Likelihoods:
    """What explains the targets: one likelihood, or a structure of them like the outputs.

    Args:
        model: the model, whose compiled loss is taken where `likelihood` is None.
        likelihood: what `keras_priors.likelihoods.get` takes, or a structure of it.
    """

    def __init__(self, model: Any, likelihood: Any = None) -> None:
        given = likelihood is not None
        self.structure = given_likelihoods(likelihood) if given else likelihood_of(model)
        self._model = model
        # A likelihood that is given is meant as it is.
        self._loss_weights = None if given else loss_weights(model)

    def log_likelihood(self, y: Any, outputs: Any, weight: Any) -> Any:
        """Sum over outputs and rows of weight * log p(y | outputs), in nats: a scalar."""
        total = ops.zeros((), dtype="float32")
        for _, _, densities, counted in self._terms(y, outputs, weight):
            terms = ops.where(counted == 0, ops.zeros_like(densities), densities * counted)
            total = total + ops.cast(ops.sum(terms), "float32")
        return total

    def number_of(self, y: Any, outputs: Any, weight: Any) -> Any:
        """How many numbers `log_likelihood` explains, each by its weight: a scalar.

        A target of independent elements has one number for each; a class is one.
        """
        total = ops.zeros((), dtype="float32")
        for likelihood, output, _, counted in self._terms(y, outputs, weight):
            width = 1
            if not isinstance(likelihood, likelihoods.Categorical):
                width = output.shape[-1] // likelihood._outputs_per_target
            total = total + width * ops.cast(ops.sum(counted), "float32")
        return total

    def _terms(self, y: Any, outputs: Any, weight: Any) -> Iterator[tuple[Any, Any, Any, Any]]:
        """(likelihood, output, log densities, their weights) of each output."""
        weights = [1.0 if w is None else w for w in keras.tree.flatten(self._loss_weights)]
        if not np.all(np.equal(weights, 1.0)):
            raise ValueError(
                "The log likelihood is the sum over outputs and rows, each with the weight 1. "
                f"Received: {self._model.name!r}, compiled with loss_weights={weights}, which "
                "`fit` would obey. Give each likelihood the scale of its noise and leave "
                "`loss_weights` out of `compile`; or give `likelihood=` here, which is then taken "
                "without them, with `sample_weight=` for the weight of a single output."
            )
        for likelihood, target, output in self.each(y, outputs):
            densities = -likelihood.call(target, output)
            # With what Keras knows of masks; of weight 0, a row counts nothing, also at -inf.
            counted = likelihood._weights(output, output, likelihood._spread(weight, output))
            counted = ops.broadcast_to(ops.cast(counted, densities.dtype), densities.shape)
            yield likelihood, output, densities, counted

    def finite(self, y: Any, outputs: Any, count: int) -> Any:
        """Which of so many targets have a finite log density at the outputs of one row: (n,)."""
        found = np.ones(count, bool)
        for likelihood, target, output in self.each(y, outputs):
            output = ops.repeat(ops.stop_gradient(output), count, axis=0)
            finite = ops.convert_to_numpy(ops.isfinite(likelihood.call(target, output)))
            found &= finite.reshape(count, -1).all(axis=1)
        return found

    def check_scale(self, outputs: Any) -> None:
        """Refuses outputs that are no probabilities or rates where a likelihood takes those."""
        for likelihood, _, output in self.each(outputs, outputs):
            check_outputs_scale(likelihood, ops.convert_to_numpy(ops.stop_gradient(output)))

    def each(self, y: Any, outputs: Any) -> list[tuple[Any, Any, Any]]:
        """(likelihood, target, output) of each output that has a likelihood."""
        if not keras.tree.is_nested(outputs):
            if keras.tree.is_nested(self.structure):
                raise ValueError(
                    f"{self._model.name!r} has one output, so it takes one likelihood. Received: "
                    f"{self.structure!r}. Give that of the output alone."
                )
            return [(self.structure, y, outputs)]
        names = list(outputs) if isinstance(outputs, dict) else range(len(outputs))
        parts = (self.structure, y)
        same = all(
            sorted(part) == sorted(outputs)
            if isinstance(outputs, dict) and isinstance(part, dict)
            else isinstance(part, (list, tuple)) and len(part) == len(outputs)
            for part in parts
        )
        if not same:
            raise ValueError(
                f"Likelihoods and targets must have the structure of the outputs of "
                f"{self._model.name!r}. Received: outputs {names}, likelihoods "
                f"{self.structure!r}, and targets of type {type(y).__name__}."
            )
        return [
            (self.structure[name], y[name], outputs[name])
            for name in names
            if self.structure[name] is not None
        ]


@share
def given_likelihoods(likelihood: Any) -> Any:
    """What the user gave, resolved: None, a likelihood, or a list or dictionary of them."""
    if isinstance(likelihood, (list, tuple)):
        return type(likelihood)([given_likelihoods(part) for part in likelihood])
    if isinstance(likelihood, dict) and "class_name" not in likelihood:
        return {name: given_likelihoods(part) for name, part in likelihood.items()}
    return None if likelihood is None else likelihoods.get(likelihood)
