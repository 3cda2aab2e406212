"""The network as a function of the weights that a Laplace approximation moves, row by row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors import backend, likelihoods
from keras_priors.functional.output_likelihoods import Likelihoods
from keras_priors.functional.positions import Positions
from keras_priors.functional.pure_outputs import PureOutputs
from keras_priors.inference.laplace.joint_outputs import JointOutputs
from keras_priors.inference.laplace.natural_outputs import NaturalOutputs
from keras_priors.inference.laplace.noise_layer import noise_layer

# Jacobians of one block of rows stay within it.
_BYTES = 128 * 2**20
_MAX_ROWS = 4096


class LaplaceRows:
    """Jacobians (R, K, D) of rows, and the curvature H (R, K, K) between them.

    Args:
        model: the model.
        positions: its weights.
        likelihood: the likelihood.
        fisher: bool. Whether a row's function is its log density (K = 1, and H = 1), which makes
            the empirical Fisher matrix, or its natural outputs.
        moved: indices of the weights that move. Defaults to None: all.
    """

    def __init__(
        self,
        model: Any,
        positions: Positions,
        likelihood: Any,
        fisher: bool = False,
        moved: Sequence[int] | None = None,
    ) -> None:
        self.model, self.positions, self.fisher = model, positions, fisher
        self.natural: Any
        """`NaturalOutputs`, or `JointOutputs` of a model with several."""
        if keras.tree.is_nested(likelihood):
            self.natural = JointOutputs(Likelihoods(model, likelihood), model.name)
        else:
            self.natural = NaturalOutputs(likelihood)
        self.moved = list(range(len(positions.paths))) if moved is None else list(moved)
        ends = np.cumsum(positions.sizes)
        self._parts = [(int(e - s), int(e)) for s, e in zip(positions.sizes, ends, strict=True)]
        self.size = sum(positions.sizes[k] for k in self.moved)
        """D, the number of scalars that move."""
        self.outputs = PureOutputs(model, positions.variables)
        """Outputs of the model from (values of its weights, values of what is fixed, x)."""
        self.fixed = self.outputs.fixed
        """Values of what is not in `positions`."""
        self.shape: tuple[int, ...] = ()
        """Shape of one row of outputs; known after `measure`."""
        self._programs: dict[str, Any] = {}
        self.noise = _known_noise(model, likelihood)
        """The scale of normal noise, where it is one known number, or None."""

    @property
    def places(self) -> list[tuple[int, int]]:
        """Where in the vector of all weights those that move begin and end."""
        return [self._parts[k] for k in self.moved]

    @property
    def outputs_per_row(self) -> int:
        """K."""
        return 1 if self.fisher else int(np.prod(self.shape, dtype=int))

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """What `make` gives, made at the first call: programs that go over the same rows again."""
        if name not in self._programs:
            self._programs[name] = make()
        return self._programs[name]

    def measure(self, x: Any) -> None:
        """Read the shape of the outputs from a row of inputs (1, ...)."""
        values = self.positions.current()
        x = keras.tree.map_structure(ops.convert_to_tensor, x)
        outputs = self.outputs(values, self.fixed(), x)
        self.shape = self.natural.measure(outputs)

    def take(self, vector: Any) -> Any:
        """The part (D,) of a vector of all weights that moves."""
        return ops.concatenate([vector[slice(*self._parts[k])] for k in self.moved])

    def take_array(self, vector: Any) -> Any:
        """The same of a NumPy vector."""
        return np.concatenate([vector[slice(*self._parts[k])] for k in self.moved])

    def put(self, vector: Any, part: Any) -> Any:
        """`vector` with `part` (D,) in the places that move."""
        if len(self.moved) == len(self._parts):
            return part
        pieces, start = [], 0
        for k, (low, high) in enumerate(self._parts):
            if k in self.moved:
                pieces.append(part[start : start + high - low])
                start += high - low
            else:
                pieces.append(vector[low:high])
        return ops.concatenate(pieces)

    def log_det(self, z: Any) -> float:
        """log|dw/dz| in nats of the weights that move."""
        return float(self.positions.log_det(z, self.moved))

    def block_rows(self, count: int, held: int = 3) -> int:
        """Rows whose Jacobians fit in memory together."""
        per_row = 4 * held * self.outputs_per_row * max(self.size, 1)
        most = int(np.clip(_BYTES // per_row, 1, _MAX_ROWS))
        return -(-count // -(-count // most))

    def values_of(self, part: Any, z: Any) -> list[Any]:
        """All weights, from those that move and the vector z of all."""
        return self.positions.constrain(self.put(z, part))[0]

    def jacobian_of_outputs(self, part: Any, z: Any, fixed: Any, x: Any) -> tuple[Any, Any]:
        """(f (R, K), df/dpart (R, K, D))."""
        slope = backend.jacobian(self._row_outputs)

        def row(x: Any) -> Any:
            return slope(part, z, fixed, x)

        f = self.natural.forward(self.outputs(self.values_of(part, z), fixed, x))
        return f, backend.vectorize(row)(x)

    def of_block(self, part: Any, z: Any, fixed: Any, block: Any) -> tuple[Any, Any]:
        """(J (R, K, D), H (R, K, K)) of a block of rows (x, y, weight)."""
        x, _, weight = block
        if not self.fisher:
            return self.jacobian_of_outputs(part, z, fixed, x)[1], self.curvature_of(
                self.values_of(part, z), fixed, block
            )
        slope = backend.jacobian(self._row_density)
        jacobian = backend.vectorize(lambda row: slope(part, z, fixed, row))(block)
        return jacobian, ops.reshape(weight, (-1, 1, 1))

    def curvature_of(self, values: list[Any], fixed: Any, block: Any) -> Any:
        """H (R, K, K) of the natural outputs, with the weights of the rows in it."""
        x, y, weight = block
        outputs = self.outputs(values, fixed, x)
        counted = self.natural.counted(outputs, weight)
        return self.natural.curvature(self.natural.forward(outputs), y, counted, self.shape)

    def residuals_of(self, outputs: Any, y: Any, weight: Any) -> list[Any]:
        """[how many, the sum of squares] of y - f in a block, by their weights; [] of no `noise`.

        Of the differences themselves: the log likelihood has them beside constants, within which
        float32 loses what is small.
        """
        if self.noise is None:
            return []
        counted = ops.reshape(self.natural.counted(outputs, weight), (-1, 1))
        # Behind the means of a `NoiseScale` stands rho.
        mean = outputs[..., : outputs.shape[-1] // self.natural.likelihood._outputs_per_target]
        apart = ops.reshape(ops.cast(y, outputs.dtype), mean.shape) - mean
        apart = ops.reshape(ops.cast(apart, "float32"), (counted.shape[0], -1))
        squares = ops.where(counted == 0, ops.zeros_like(apart), ops.square(apart) * counted)
        return [ops.sum(counted) * apart.shape[1], ops.sum(squares)]

    def _row_outputs(self, part: Any, z: Any, fixed: Any, x: Any) -> Any:
        x = keras.tree.map_structure(lambda leaf: ops.expand_dims(leaf, 0), x)
        return self.natural.forward(self.outputs(self.values_of(part, z), fixed, x))[0]

    def _row_density(self, part: Any, z: Any, fixed: Any, row: Any) -> Any:
        x, y, _ = keras.tree.map_structure(lambda leaf: ops.expand_dims(leaf, 0), row)
        return self.natural.row_densities(self.outputs(self.values_of(part, z), fixed, x), y)


def _known_noise(model: Any, likelihood: Any) -> float | None:
    if isinstance(likelihood, likelihoods.Normal):
        return None if np.ndim(likelihood.scale) else float(likelihood.scale)
    layer = noise_layer(model, likelihood)
    if layer is None or layer.scale.trainable:
        return None
    return float(ops.convert_to_numpy(layer.scale)[0])
