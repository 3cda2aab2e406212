"""A Keras model whose outputs are statistics of the predictive."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.functional.outputs_at_draws import outputs_at
from keras_priors.posteriors.posterior import Posterior


def served_model(
    model: Any,
    targets: Sequence[Any],
    values: Sequence[Any],
    statistics: Callable[[Any], dict[str, Any]],
    target: str,
) -> Any:
    """A plain model with the draws for weights, and nothing else of the posterior.

    What all draws have in common is stored once and computed once.

    Args:
        model: built `keras.Model`.
        targets: what the values stand in for, variables or posteriors of layers.
        values: the draws of each, (S, ...), or (1, ...) of a point.
        statistics: from outputs (S, N, ...), in the structure of the model's, to tensors by name.
        target: str, the format of which it is to be.
    """
    arrays = [ops.convert_to_numpy(value) for value in values]
    varies = [bool(np.any(array != array[:1])) for array in arrays]
    drawn = [k for k, each in enumerate(varies) if each]
    common = [k for k, each in enumerate(varies) if not each]
    # The parameters of posteriors that are drawn are read by nobody, and left out.
    taken = {id(v) for q in targets for v in _variables_of(q)}
    rest = [v for v in model.variables if id(v) not in taken]
    floats = [v for v in rest if keras.backend.is_float_dtype(v.dtype)]
    # Seeds and counts are constants.
    others = [v for v in rest if not keras.backend.is_float_dtype(v.dtype)]
    fixed = [ops.convert_to_tensor(ops.convert_to_numpy(v)) for v in others]
    places = [targets[k] for k in drawn], [targets[k] for k in common]

    def function(draws: Sequence[Any], shared: Sequence[Any], x: Any) -> Any:
        def one_draw(draw: Sequence[Any]) -> Any:
            given = [*places[0], *places[1], *floats, *others]
            return outputs_at(given, [*draw, *shared, *fixed], model, x)

        if draws:
            return statistics(backend.map_for_export(one_draw, list(draws), target))
        one = one_draw([])
        return statistics(keras.tree.map_structure(lambda y: ops.expand_dims(y, 0), one))

    shared = [arrays[k][0] for k in common] + [ops.convert_to_numpy(v) for v in floats]
    return _ServedModel(function, [arrays[k] for k in drawn], shared, name=model.name)


class _ServedModel(keras.Model):
    """A function of stored tensors and rows."""

    def __init__(
        self, function: Any, draws: Sequence[Any], shared: Sequence[Any], name: str
    ) -> None:
        # Inputs come as the file gets them: the model casts them itself.
        super().__init__(name=name, autocast=False)
        self._function = function
        self._draws = [self._stored(f"draws_{k}", value) for k, value in enumerate(draws)]
        self._shared = [self._stored(f"shared_{k}", value) for k, value in enumerate(shared)]
        self.built = True

    def _stored(self, name: str, value: Any) -> Any:
        return self.add_weight(
            shape=value.shape,
            initializer=lambda shape, dtype=None: ops.convert_to_tensor(value),
            dtype=value.dtype.name,
            # Nothing trains it. What is not trainable, Keras' export from JAX writes at each call.
            trainable=True,
            autocast=False,
            name=name,
        )

    def call(self, inputs: Any) -> Any:
        """The statistics at these rows."""
        draws = [ops.convert_to_tensor(v) for v in self._draws]
        return self._function(draws, [ops.convert_to_tensor(v) for v in self._shared], inputs)


def _variables_of(target: Any) -> list[Any]:
    if not isinstance(target, Posterior):
        return [target]
    held = keras.tree.flatten(list(vars(target).values()))
    return [value for value in held if isinstance(value, keras.Variable)]
