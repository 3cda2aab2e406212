"""How many observations the loss of a model averages over, and whether a number can be that."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import keras

from keras_priors.functional.check_activations import check_activations
from keras_priors.functional.count_observations import is_a
from keras_priors.functional.steps_per_row import Steps, steps_per_row
from keras_priors.functional.traversal import find_owners
from keras_priors.utils.warn import warn

_RULE = "`num_data` is the number of observations whose mean is the loss. "
_PASS = "Pass that number: `keras_priors.set_num_data(model, 60000)`."


def count_of_loss(model: Any, rows: int, data: Any) -> tuple[int, Check | None]:
    """(the observations in so many rows, what is left to see when the model is compiled).

    Args:
        model: the model.
        rows: how many rows the data have.
        data: the data, whose shapes may tell those of the outputs.
    """
    if not model.built:
        return rows, Check(model, rows, rows)
    steps = _for_data(model, data)
    if steps.why:
        warn(
            f"{_RULE}Received: {rows} rows for {steps.why}. The rows alone were counted. {_PASS}",
        )
        return rows, None
    number = round(rows * (steps.number or 1))
    if steps.may_be_masked:
        warn(
            f"{_RULE}Received: {rows} rows of {steps.number:g} steps, of which a mask may hide "
            "some. All were counted. Pass the number of those that are not masked: "
            "`keras_priors.set_num_data(model, int(mask.sum()))`.",
        )
    if model.compiled and steps.number is not None:
        check_activations(model)
        return number, None
    return number, Check(model, number, rows)


def check_given(model: Any, num_data: int | None) -> None:
    """Warn where a number that the user gave cannot be right, now or in the first `fit`."""
    if num_data is None:
        return
    check = Check(model, num_data, None)
    if not check():
        for owner in find_owners(model):
            owner._num_data_check = check


class Check:
    """Judges `num_data` against a model that is built and compiled by then.

    Args:
        model: the model, held weakly: a prior is not to keep it alive.
        number: the `num_data` that was set.
        rows: how many rows the data have, or None where the user gave the number itself.
    """

    def __init__(self, model: Any, number: int, rows: int | None) -> None:
        self._model = weakref.ref(model)
        self._number, self._rows = number, rows
        self._done = False

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        # A copy of a prior belongs to another model.
        return type(None), ()

    def __call__(self) -> bool:
        """Whether it could be judged, once for all priors of a model."""
        model = self._model()
        if self._done or model is None or not (model.built and model.compiled):
            return self._done
        check_activations(model)
        steps = steps_per_row(model)
        self._done = steps.number is not None or bool(steps.why)
        if steps.number is None or steps.why:
            # Of a length that the data told, there is another number than that of the rows.
            if steps.why and self._number == self._rows:
                self._warn(f"{self._number} for {self._rows} rows of {steps.why}. {_PASS}")
        elif self._rows is not None and self._number != round(self._rows * steps.number):
            self._warn(
                f"{self._number}, where the loss averages over {steps.number:g} terms for each of "
                f"{self._rows} rows. Call `keras_priors.set_num_data(model, x_train)` again, now "
                "that the model is built and compiled.",
            )
        elif self._rows is None and not steps.may_be_masked and self._number % steps.number:
            self._warn(
                f"num_data={self._number}, no multiple of the {steps.number:g} terms over which "
                "the loss averages in each row. Pass rows times terms, or the data: "
                "`keras_priors.set_num_data(model, x_train)`.",
            )
        return self._done

    def _warn(self, received: str) -> None:
        warn(
            f"{_RULE}Received: {received}",
        )


def _for_data(model: Any, data: Any) -> Steps:
    """`steps_per_row` with what the shapes of the data tell."""
    steps = steps_per_row(model)
    if steps.number is not None:
        return steps
    if isinstance(data, keras.utils.PyDataset) or is_a(data, "torch.utils.data", "DataLoader"):
        return steps
    if is_a(data, "tensorflow.", "DatasetV2"):
        data = data.element_spec
    # `x_train`, or `(x_train, y_train)`; an input may be a tuple too.
    firsts = [data, data[0]] if isinstance(data, tuple) and data else [data]
    for x in firsts:
        found = steps_per_row(model, x)
        if found.number is not None:
            return found
    return steps
