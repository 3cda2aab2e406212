"""What the callbacks share that make a posterior of weights that `fit` passes."""

from __future__ import annotations

import time
from typing import Any

import keras
import numpy as np

from keras_priors.callbacks.penalties import to_numpy
from keras_priors.functional.check_built import check_built
from keras_priors.functional.moving_statistics import statistics_of
from keras_priors.functional.observations import Observations
from keras_priors.functional.output_likelihoods import Likelihoods
from keras_priors.functional.positions import Positions
from keras_priors.functional.warn_flat import warn_flat


class WeightRecorder(keras.callbacks.Callback):
    """Reads the weights and statistics of one model at moments that a subclass chooses. Abstract.

    `fit` may be called again with the same callback: it goes on with what it has.
    """

    def __init__(self) -> None:
        super().__init__()
        self._recorded: Any = None
        self._positions: Positions | None = None
        self._statistics: list[int] = []
        self._seconds = self._earlier = self._begin = 0.0

    def on_train_begin(self, logs: Any = None) -> None:
        """Find the weights, and refuse a model with others than before."""
        owner, model = type(self).__name__, self.model
        check_built(owner, model)
        positions = Positions(model)
        if self._positions is not None and (
            model is not self._recorded or positions.paths != self._positions.paths
        ):
            raise ValueError(
                f"A {owner} records the same weights of one model. Received: {model.name} with "
                f"{list(positions.paths)}, after {self._recorded.name} with "
                f"{list(self._positions.paths)}. Make another {owner} for it."
            )
        self._recorded, self._positions = model, positions
        self._statistics = statistics_of(model)
        self._earlier, self._begin = self._seconds, time.perf_counter()

    def on_train_end(self, logs: Any = None) -> None:
        """Note the time."""
        self._note_time()

    def _note_time(self) -> None:
        self._seconds = self._earlier + time.perf_counter() - self._begin

    def _read(self, when: str) -> tuple[list[Any], list[Any]]:
        """(values of the weights, values of the statistics) now, copied and finite."""
        model = self.model  # on JAX the state of a running epoch is brought back by this
        assert self._positions is not None
        values = [to_numpy(v) for v in self._positions.variables]
        for path, value in zip(self._positions.paths, values, strict=True):
            if not np.all(np.isfinite(value)):
                raise ValueError(
                    f"{type(self).__name__} keeps finite weights. Received: {path} with infinite "
                    f"or NaN elements {when}. Lower the learning rate of the optimizer (by 10), "
                    "train the model before, or look for inputs and targets that are NaN or huge."
                )
        self._note_time()
        return values, [to_numpy(model.variables[k]) for k in self._statistics]

    def _context(
        self, x: Any, y: Any, likelihood: Any, sample_weight: Any
    ) -> tuple[Any, Any, Observations | None]:
        """(model, structure of likelihoods, observations) of the posterior."""
        model = self._recorded
        if x is None and (y is not None or sample_weight is not None):
            raise ValueError(
                "Targets and weights come with their inputs. Received: y or sample_weight without "
                "x. Give x too, or none of them."
            )
        observations = None if x is None else Observations(x, y, sample_weight)
        structure = Likelihoods(model, likelihood).structure
        warn_flat(model, self._positions)  # type: ignore[arg-type]
        return model, structure, observations
