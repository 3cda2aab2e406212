"""A normal posterior with a diagonal and a low-rank covariance, along a trajectory of SGD."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.functional.observations import Observations
from keras_priors.functional.positions import Positions
from keras_priors.inference.as_prior import normal_of
from keras_priors.inference.posterior import Posterior
from keras_priors.inference.saved_arrays import SavedArrays
from keras_priors.inference.spread_of import spread_of
from keras_priors.inference.table import Table
from keras_priors.priors.joint_normal_prior import JointNormalPrior
from keras_priors.priors.normal_blocks import LowRankBlock
from keras_priors.utils.export import export

# Draws from which the moments of weights with bounds are taken.
_DRAWS = 4096


@export("keras_priors.inference")
class SWAGPosterior(Posterior):
    """A normal in the unbounded vector z of all weights (see `LogPosterior`).

        z ~ N(mean, diag(variance) / 2 + D^T D / (2 (K - 1)))       K > 1 deviations D (K, dim)
        z ~ N(mean, diag(variance))                                 none

    Weights with bounded support are mapped into it; means and standard deviations of such are
    those of 4096 fixed draws.

    Args:
        model: the model.
        likelihood: its likelihood, or a structure of them.
        location: array (D,), the mean.
        variance: array (D,).
        deviations: array (K, D), K = 0 or K > 1.
        states: mapping from the index of a variable in `model.variables` to its value at all
            draws (moving statistics). Defaults to None: those that the model has.
        observations: the data, for ArviZ' log likelihood. Defaults to None.

    Raises:
        ValueError: arrays whose shapes do not fit, or one deviation, which has no spread.
    """

    def __init__(
        self,
        model: Any,
        likelihood: Any,
        location: Any,
        variance: Any,
        deviations: Any,
        *,
        states: Mapping[int, Any] | None = None,
        observations: Observations | None = None,
    ) -> None:
        super().__init__(model, likelihood, observations)
        self.location, self.variance, self.deviations = (
            np.asarray(v, "float32") for v in (location, variance, deviations)
        )
        self._states = {index: np.asarray(v) for index, v in (states or {}).items()}
        size, rank = self.positions.size, len(self.deviations)
        shapes = (self.location.shape, self.variance.shape, self.deviations.shape)
        if shapes != ((size,), (size,), (rank, size)) or rank == 1:
            raise ValueError(
                f"A SWAG posterior of {size} weights has a mean and a variance of shape ({size},) "
                f"and none or at least two deviations (K, {size}). Received: shapes {shapes}."
            )

    @property
    def rank(self) -> int:
        """The number K of deviations; 0 for a diagonal covariance."""
        return len(self.deviations)

    @property
    def _diagonal(self) -> Any:
        return self.variance / 2 if self.rank else self.variance

    @property
    def _factor(self) -> Any:
        """(K, D), whose product with itself is the low-rank part of the covariance."""
        return self.deviations / np.float32(math.sqrt(2 * max(self.rank - 1, 1)))

    def mean(self) -> dict[str, Any]:
        """Posterior mean of each weight, by path."""
        if self.positions.bounded:
            return {path: v.mean(0) for path, v in self.draws(_DRAWS, seed=0).items()}
        return self.positions.named(self.positions.split(ops.convert_to_tensor(self.location)))

    def stddev(self) -> dict[str, Any]:
        """Posterior standard deviation of each element of each weight, by path."""
        if self.positions.bounded:
            return {path: v.std(0, ddof=1) for path, v in self.draws(_DRAWS, seed=0).items()}
        sd = np.sqrt(self._diagonal + np.sum(self._factor**2, axis=0))
        return self.positions.named(self.positions.split(ops.convert_to_tensor(sd)))

    def covariance(self) -> Any:
        """Covariance (D, D) of z, for small models."""
        return np.diag(self._diagonal) + self._factor.T @ self._factor

    def diagnose(self) -> Table:
        """How wide it is beside the posterior: "spread", in the row "weights" of a `Table`.

        The median over weights of the standard deviation over that of a diagonal Laplace
        approximation at the mean. A normal posterior has 1 or more: below a third it is little more
        than a point, whatever its `predict` says. The spread follows the learning rate, the size
        of a batch and the steps between snapshots, see `SWAG`.

        Raises:
            ValueError: the data of `fit` are not at hand; they are not saved.
        """
        if self._observations is None:
            raise ValueError(
                "The spread is compared with the curvature at the data of `fit`. Received: a "
                "posterior without them; they are not saved. Fit it again."
            )
        return Table({"weights": {"spread": spread_of(self, self.mean(), self.stddev())}})

    def log_prob(self, position: Mapping[str, Any]) -> float:
        """Log density of the weights at a position, in nats; exact.

        Raises:
            ValueError: a weight that did not move has no density.
        """
        if not np.all(self.variance > 0):
            raise ValueError(
                "A SWAG posterior has a density where every weight has moved. Received: "
                f"{int(np.sum(self.variance <= 0))} scalars with variance 0. Train longer, or "
                "freeze these weights."
            )
        z = self.positions.unconstrain(self.positions.checked(position))
        log_det = float(self.positions.constrain(z)[1])
        apart = ops.convert_to_numpy(z).astype("float64") - self.location
        diagonal, factor = self._diagonal.astype("float64"), self._factor.astype("float64")
        # Woodbury and the matrix determinant lemma: K by K, never D by D.
        weighted = factor / diagonal
        inner = np.eye(self.rank) + weighted @ factor.T
        projected = weighted @ apart
        square = apart @ (apart / diagonal) - projected @ np.linalg.solve(inner, projected)
        log_size = np.sum(np.log(diagonal)) + np.linalg.slogdet(inner)[1]
        return float(-0.5 * (square + log_size + len(apart) * math.log(2 * math.pi)) - log_det)

    @property
    def _targets(self) -> Sequence[Any]:
        variables = self.model.variables
        return [*self.positions.variables, *(variables[index] for index in self._states)]

    def _handles(self, num_samples: int, seed: Any) -> Any:
        return backend.spawn_seeds(seed, num_samples)

    def _values(self, handles: Any) -> Sequence[Any]:
        seeds = ops.convert_to_tensor(handles, dtype="uint32")
        arrays = [self.location, np.sqrt(self._diagonal), self._factor]
        drawn = self._drawn(seeds, [ops.convert_to_tensor(a, dtype="float32") for a in arrays])
        repeated = [np.repeat(v[None], len(handles), axis=0) for v in self._states.values()]
        return [*(ops.convert_to_numpy(v) for v in drawn), *repeated]

    @cached_property
    def _drawn(self) -> Any:
        size, rank = self.positions.size, self.rank

        def one(seed: Any, arrays: Any) -> Any:
            location, scale, factor = arrays
            normals = backend.standard_normal((size + rank,), seed)
            z = location + scale * normals[:size]
            if rank:
                z = z + ops.reshape(normals[None, size:] @ factor, (size,))
            return self.positions.constrain(z)[0]

        def every(seeds: Any, arrays: Any) -> Any:
            return backend.map_draws(lambda seed: one(seed, arrays), seeds)

        return backend.compile_function(every)

    def _own_normal(self) -> JointNormalPrior:
        positions, variance = self.positions, self._diagonal.astype("float64")
        if not np.all(variance > 0):
            raise ValueError(
                "A prior of a SWAG posterior needs weights that have all moved. Received: "
                f"{int(np.sum(variance <= 0))} scalars with variance 0. Train longer, or freeze "
                "these weights."
            )
        kind, arrays = "diagonal", {"variance": variance}
        if self.rank:
            kind, arrays = "low_rank", LowRankBlock.of_covariance(np.sqrt(variance), self._factor)
        parts = [(0, positions.size, kind, arrays)]
        return normal_of(positions, range(len(positions.paths)), self.location, parts)

    def _named_handle(self, draw: int) -> Any:
        return self._handles(1, draw)

    def _state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        arrays = {
            "location": self.location,
            "variance": self.variance,
            "deviations": self.deviations,
        }
        return {}, arrays | {f"states/{index}": v for index, v in self._states.items()}

    @classmethod
    def _from_state(
        cls, model: Any, likelihood: Any, config: dict[str, Any], arrays: SavedArrays
    ) -> SWAGPosterior:
        size = Positions(model).size
        shapes = {"location": (size,), "variance": (size,), "deviations": (None, size)}
        parts = [arrays.of_shape(name, shape) for name, shape in shapes.items()]
        if np.any(arrays["variance"] < 0):
            raise ValueError("The entry 'variance' must be at least 0. Received: less.")
        return cls(model, likelihood, *parts, states=arrays.states(model))
