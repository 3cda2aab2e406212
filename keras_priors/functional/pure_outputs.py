"""The outputs of a model as a function of its variables' values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from keras_priors.utils.export import share


@share
class PureOutputs:
    """model(x, training=False) with given values in the place of its variables.

    Args:
        model: built `keras.Model`.
        variables: those whose values come first; the others are `fixed_variables`.
    """

    def __init__(self, model: Any, variables: Sequence[Any]) -> None:
        self._model = model
        taken = {id(v) for v in variables}
        self.fixed_variables = [v for v in model.variables if id(v) not in taken]
        """Variables that stay as they are: frozen weights, statistics, seeds."""
        self._variables = [*variables, *self.fixed_variables]

    def __call__(self, values: Sequence[Any], fixed: Sequence[Any], x: Any) -> Any:
        """Outputs at these values of the variables and of `fixed_variables`."""
        mapping = list(zip(self._variables, [*values, *fixed], strict=True))
        # The scope of every variable: one without a value would be read past the tracer on JAX.
        with keras.StatelessScope(state_mapping=mapping):
            return self._model(x, training=False)

    def fixed(self) -> list[Any]:
        """The values that `fixed_variables` have now, as tensors."""
        return [keras.ops.convert_to_tensor(v) for v in self.fixed_variables]
