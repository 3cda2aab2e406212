"""A posterior that is a normal over the weights without bounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.functional.observations import Observations
from keras_priors.functional.positions import Positions
from keras_priors.inference.posterior import Posterior
from keras_priors.inference.saved_arrays import SavedArrays
from keras_priors.inference.variational.normal_family import NormalFamily
from keras_priors.posteriors.posterior import Posterior as Family
from keras_priors.utils.export import export

_NODES = 64


@export("keras_priors.inference")
class VariationalPosterior(Posterior):
    """A normal q(z) over the flat vector z without bounds, as variational inference finds it.

        q(w) = q(z) / |dw/dz|

    Args:
        model: the model.
        likelihood: its likelihood, or a structure of them.
        family: a member of `keras_priors.posteriors`: MeanFieldNormal, LowRankNormal, FullNormal.
        parameters: mapping from the name of each of its variables to an array.
        elbo: array, a trace of the evidence lower bound, nats. Defaults to None.
        observations: the data, for ArviZ' log likelihood. Defaults to None.
    """

    _may_be_infinite = ("elbo",)  # an estimate may be, at a draw without a density

    def __init__(
        self,
        model: Any,
        likelihood: Any,
        family: Any,
        parameters: Mapping[str, Any],
        *,
        elbo: Any = None,
        observations: Observations | None = None,
    ) -> None:
        super().__init__(model, likelihood, observations)
        self._family = NormalFamily(family.copy(), self.positions.size)
        self._family.assign(parameters)
        self.elbo = np.zeros(0, "float32") if elbo is None else np.asarray(elbo, "float32")
        """Estimates of the evidence lower bound at each step, nats."""

    @property
    def family(self) -> Any:
        """q(z), a member of `keras_priors.posteriors`."""
        return self._family.posterior

    @property
    def parameters(self) -> dict[str, Any]:
        """The variables of q(z) by name, NumPy."""
        return self._family.arrays()

    def mean(self) -> dict[str, Any]:
        """Posterior mean of each weight, by path; within bounds by quadrature."""
        return self.positions.named(self._moments[0])

    def stddev(self) -> dict[str, Any]:
        """Posterior standard deviation of each element, by path; within bounds by quadrature."""
        return self.positions.named(self._moments[1])

    def log_prob(self, position: Mapping[str, Any]) -> float:
        """Log density of the weights, nats: log q(z) - log|dw/dz|."""
        z = self.positions.unconstrain(self.positions.checked(position))
        _, log_det = self.positions.constrain(z)
        return float(self.family.log_prob(z)) - float(log_det)

    @cached_property
    def _moments(self) -> tuple[list[Any], list[Any]]:
        loc, scale = self.family.mean(), self.family.stddev()
        if not self.positions.bounded:
            return self.positions.split(loc), self.positions.split(scale)
        # Each scalar of z is normal by itself, and a bounded weight is a function of one.
        nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
        weights = weights / weights.sum()
        values = [
            self.positions.named(self.positions.constrain(loc + float(node) * scale)[0])
            for node in nodes
        ]
        means, scales = [], []
        for path in self.paths:
            at = np.stack([value[path] for value in values]).astype("float64")
            mean = np.tensordot(weights, at, axes=1)
            means.append(mean.astype("float32"))
            scales.append(
                np.sqrt(np.tensordot(weights, (at - mean) ** 2, axes=1)).astype("float32")
            )
        return means, scales

    def _handles(self, num_samples: int, seed: Any) -> Any:
        return backend.spawn_seeds(seed, num_samples)

    def _values(self, handles: Any) -> Sequence[Any]:
        values = [ops.convert_to_tensor(v) for v in self._family.variables]
        found: Sequence[Any] = self._drawn(values, ops.convert_to_tensor(handles, dtype="uint32"))
        return found

    @cached_property
    def _drawn(self) -> Any:
        def draws(values: Any, seeds: Any) -> Any:
            return backend.map_draws(
                lambda seed: self.positions.constrain(self._family.sample(values, seed))[0], seeds
            )

        return backend.compile_function(draws)

    def _state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        arrays = {f"parameters/{name}": v for name, v in self.parameters.items()}
        family = keras.saving.serialize_keras_object(self.family)
        return {"family": family}, {**arrays, "elbo": self.elbo}

    @classmethod
    def _from_state(
        cls, model: Any, likelihood: Any, config: dict[str, Any], arrays: SavedArrays
    ) -> VariationalPosterior:
        if "family" not in config:
            raise ValueError(f"There must be an entry 'family'. Received: {sorted(config)}.")
        family = keras.saving.deserialize_keras_object(config["family"])
        if not isinstance(family, Family):
            raise ValueError(
                "The entry 'family' must be a posterior of keras_priors.posteriors. Received: "
                f"{family!r}."
            )
        built = NormalFamily(family.copy(), Positions(model).size)
        parameters = {
            name: arrays.of_shape(f"parameters/{name}", variable.shape)
            for name, variable in zip(built.names, built.variables, strict=True)
        }
        elbo = arrays.of_shape("elbo", (None,))
        return cls(model, likelihood, family, parameters, elbo=elbo)
