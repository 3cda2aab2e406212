"""All mass at one point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_priors.functional.observations import Observations
from keras_priors.functional.positions import Positions
from keras_priors.inference.posterior import Posterior
from keras_priors.inference.saved_arrays import SavedArrays
from keras_priors.inference.saved_number import saved_number
from keras_priors.utils.export import export


@export()
class PointPosterior(Posterior):
    """One value of every weight: the MAP, in the form of a posterior.

    Args:
        model: the model.
        likelihood: its likelihood, or a structure of them.
        values: the value of each weight, in the order of `keras_priors.get_priors`.
        log_posterior: float, log likelihood + log prior there, in nats. Defaults to NaN: unknown.
        observations: the data, for ArviZ' log likelihood. Defaults to None.
    """

    default_num_samples = 1

    def __init__(
        self,
        model: Any,
        likelihood: Any,
        values: Sequence[Any],
        *,
        log_posterior: float = float("nan"),
        observations: Observations | None = None,
    ) -> None:
        super().__init__(model, likelihood, observations)
        self._point = [keras.ops.convert_to_numpy(v) for v in values]
        self.log_posterior = float(log_posterior)

    def mean(self) -> dict[str, Any]:
        """The point, by path."""
        return dict(zip(self.paths, self._point, strict=True))

    def stddev(self) -> dict[str, Any]:
        """Zeros, by path."""
        return {path: np.zeros_like(v) for path, v in self.mean().items()}

    @property
    def _most_samples(self) -> int:
        return 1

    def _handles(self, num_samples: int, seed: Any) -> Any:
        return np.zeros(num_samples, "int64")

    def _values(self, handles: Any) -> Sequence[Any]:
        return [np.repeat(v[None], len(handles), axis=0) for v in self._point]

    def _state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return (
            {"log_posterior": self.log_posterior},
            {str(k): v for k, v in enumerate(self._point)},
        )

    @classmethod
    def _from_state(
        cls, model: Any, likelihood: Any, config: dict[str, Any], arrays: SavedArrays
    ) -> PointPosterior:
        height = saved_number(config, "log_posterior", finite=False)
        values = arrays.numbered(Positions(model).shapes)
        return cls(model, likelihood, values, log_posterior=height)
