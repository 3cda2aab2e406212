"""The weights as they are, and dropout masks in prediction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_priors import backend
from keras_priors.functional.clone import clone, copy_variables
from keras_priors.functional.observations import Observations
from keras_priors.functional.outputs_at_draws import outputs_at_draws
from keras_priors.functional.positions import Positions
from keras_priors.inference.ensembles.dropout_on import DropoutOn, dropout_on
from keras_priors.inference.posterior import Posterior
from keras_priors.inference.saved_arrays import SavedArrays
from keras_priors.inference.saved_number import saved_number
from keras_priors.predictive.wrap import wrap
from keras_priors.utils.export import export
from keras_priors.utils.keras_internals import all_layers, inner_layers
from keras_priors.utils.parameters import whole_number
from keras_priors.utils.progress import check_verbose


@export("keras_priors.inference")
class MCDropoutPosterior(Posterior):
    """What `MCDropout` gives: `draws` are all at the weights of the model, `predict` draws masks.

    A mask on inputs is no array of weights, so that `draws`, `mean` and `stddev` know only the
    point at which the model was.

    Args:
        model: the model, with Dropout layers.
        likelihood: its likelihood, or a structure of them.
        values: the value of each weight, in the order of `keras_priors.get_priors`.
        rate: float, in place of the rates of the layers. Defaults to None: their own.
        observations: the data, for ArviZ' log likelihood. Defaults to None.
    """

    default_num_samples = 1

    def __init__(
        self,
        model: Any,
        likelihood: Any,
        values: Sequence[Any],
        *,
        rate: float | None = None,
        observations: Observations | None = None,
    ) -> None:
        super().__init__(model, likelihood, observations)
        self._point = [np.asarray(v) for v in values]
        self.rate = rate
        self._copy: Any = None

    def predict(
        self,
        x: Any,
        num_samples: int | None = None,
        batch_size: int | None = None,
        seed: Any = None,
        verbose: Any = "auto",
        *,
        out: Any = None,
    ) -> Any:
        """The predictive at x, with a mask for each Dropout layer and draw.

        Args:
            x: rows: what the model takes, or a data set of batches.
            num_samples: integer, number of draws. Defaults to None: 100.
            batch_size: integer, most rows in a chunk; without effect on the draws.
            seed: integer, `keras.random.SeedGenerator` or None for a fresh one.
            verbose: "auto", 1 or 0, for the progress bar.
            out: path of a `.npy` file for the draws, as in `keras_priors.predict`.

        Returns:
            A `keras_priors.Predictive`, or the structure of the outputs with one at each.
        """
        check_verbose(verbose)
        if batch_size is not None:
            batch_size = whole_number("predict", "batch_size", batch_size)
        number = 100 if num_samples is None else num_samples
        number = whole_number("predict", "num_samples", number)
        copy = self._dropping()
        generators = [
            layer.seed_generator for layer in all_layers(copy) if isinstance(layer, DropoutOn)
        ]
        states = backend.spawn_seeds(seed, number * len(generators))
        states = states.reshape(number, len(generators), 2)
        outputs = outputs_at_draws(
            copy,
            [generator.state for generator in generators],
            lambda start, stop: list(states[start:stop].swapaxes(0, 1)),
            number,
            x,
            batch_size,
            verbose,
            out,
        )
        return wrap(self.model, outputs, self.likelihood)

    def mean(self) -> dict[str, Any]:
        """The weights, by path."""
        return dict(zip(self.paths, self._point, strict=True))

    def stddev(self) -> dict[str, Any]:
        """Zeros, by path."""
        return {path: np.zeros_like(v) for path, v in self.mean().items()}

    def _dropping(self) -> Any:
        """A copy of the model with masks, its weights those of `fit`."""
        if self._copy is None:
            self._copy, self._pairs = clone(
                self.model, lambda layer: dropout_on(layer, self.rate), compiled=False
            )
        dropped = {id(old) for old, new in self._pairs if isinstance(new, DropoutOn)}
        kept = [(old, new) for old, new in self._pairs if id(old) not in dropped]
        for old, new in kept:
            if not inner_layers(old):  # of layers within layers, the inner ones
                copy_variables(old, new)
        points = {id(v): p for v, p in zip(self.positions.variables, self._point, strict=True)}
        for old, new in kept:
            for source, target in zip(old.variables, new.variables, strict=True):
                if id(source) in points:
                    target.assign(points[id(source)])
        return self._copy

    @property
    def _most_samples(self) -> int:
        return 1

    def _handles(self, num_samples: int, seed: Any) -> Any:
        return np.zeros(num_samples, "int64")

    def _values(self, handles: Any) -> Sequence[Any]:
        return [np.repeat(v[None], len(handles), axis=0) for v in self._point]

    def _state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return {"rate": self.rate}, {str(k): v for k, v in enumerate(self._point)}

    @classmethod
    def _from_state(
        cls, model: Any, likelihood: Any, config: dict[str, Any], arrays: SavedArrays
    ) -> MCDropoutPosterior:
        rate = saved_number(config, "rate", optional=True)
        if rate is not None and not 0 <= rate < 1:
            raise ValueError(f"The entry 'rate' must be in [0, 1). Received: {rate}.")
        values = arrays.numbered(Positions(model).shapes)
        return cls(model, likelihood, values, rate=rate)
