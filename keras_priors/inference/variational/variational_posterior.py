"""A posterior that is a normal over the weights without bounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.functional.moments import moments
from keras_priors.functional.observations import Observations
from keras_priors.functional.positions import Positions
from keras_priors.inference.as_prior import normal_of
from keras_priors.inference.posterior import Posterior
from keras_priors.inference.saved_arrays import SavedArrays
from keras_priors.inference.variational.normal_family import NormalFamily
from keras_priors.posteriors.full_normal import FullNormal
from keras_priors.posteriors.low_rank_normal import LowRankNormal
from keras_priors.posteriors.mean_field_normal import MeanFieldNormal
from keras_priors.posteriors.posterior import Posterior as Family
from keras_priors.priors.joint_normal_prior import JointNormalPrior
from keras_priors.priors.normal_blocks import LowRankBlock
from keras_priors.utils.export import export


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
        family = self.family
        loc, variance = (ops.convert_to_numpy(v) for v in (family.mean(), family.variance()))
        independent = isinstance(family, MeanFieldNormal)
        return moments(self.positions, loc, variance, None if independent else self._columns)

    def _columns(self, indices: Any) -> Any:
        """Columns (D, m) of the covariance of z."""
        family = self.family
        zero = ops.zeros(family.noise_shape)

        # z is linear in its noise: a row of that map backward, and then forward.
        def column(index: Any) -> Any:
            row = backend.value_and_gradient(lambda e: ops.take(family.transform(e), index))(zero)
            return family.transform(row[1]) - family.mean()

        found = backend.map_draws(column, ops.convert_to_tensor(indices, dtype="int32"))
        return ops.convert_to_numpy(found).astype("float64").T

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

    def _own_normal(self) -> JointNormalPrior:
        positions, family, arrays = self.positions, self.family, self.parameters
        size, loc = positions.size, ops.convert_to_numpy(family.mean()).astype("float64")
        if isinstance(family, FullNormal):
            raw = arrays["scale_tril"].astype("float64")
            factor = np.tril(raw, -1) + np.diag(np.logaddexp(0.0, np.diagonal(raw)))
            kind, found = "full", {"whitening": np.linalg.inv(factor)}
        else:
            rho = arrays["rho"].astype("float64")
            stddev = np.logaddexp(0.0, family.scale_rate * rho)
            kind, found = "diagonal", {"variance": stddev**2}
            if isinstance(family, LowRankNormal):
                kind, found = "low_rank", LowRankBlock.of_covariance(stddev, arrays["factor"])
        return normal_of(positions, range(len(positions.paths)), loc, [(0, size, kind, found)])

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
