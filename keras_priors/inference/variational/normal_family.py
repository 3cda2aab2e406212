"""A normal family over one flat vector, as pure functions of its variables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.posteriors.scale import softplus_inverse

_START = 1
"""The seed of what a family starts at."""


class NormalFamily:
    """A member of `keras_priors.posteriors` that is built on a vector z (D,).

    Args:
        posterior: the unbuilt member.
        size: integer, D.
        loc: array (D,), its mean. Defaults to None: 0.
    """

    def __init__(self, posterior: Any, size: int, loc: Any = None) -> None:
        self.posterior = posterior
        self.names: list[str] = []
        self.variables: list[Any] = []

        def add_weight(name: str, shape: tuple[int, ...], initializer: Any) -> Any:
            if isinstance(initializer, keras.initializers.RandomNormal):
                # A fit repeats by its own seed alone, whatever was drawn before it.
                initializer = type(initializer)(initializer.mean, initializer.stddev, _START)
            variable = keras.Variable(
                initializer, shape=shape, dtype="float32", trainable=False, name=name
            )
            self.names.append(name)
            self.variables.append(variable)
            return variable

        posterior.build(add_weight, (size,), keras.initializers.Zeros())
        if loc is not None:
            posterior.loc.assign(loc)

    def assign(self, values: Mapping[str, Any]) -> None:
        """Give the variables these values, by name."""
        for name, variable in zip(self.names, self.variables, strict=True):
            variable.assign(values[name])

    def arrays(self) -> dict[str, Any]:
        """The values of the variables by name, NumPy."""
        return {
            name: ops.convert_to_numpy(variable)
            for name, variable in zip(self.names, self.variables, strict=True)
        }

    def noise(self, seed: Any, count: int) -> Any:
        """Standard normals (count, ...) for as many draws, in antithetic pairs."""
        half = -(-count // 2)
        shape = (half, *self.posterior.noise_shape)
        noise = backend.standard_normal(shape, seed, "float32")
        return ops.concatenate([noise, -noise])[:count] if count > 1 else noise

    def draws(self, values: Any, noise: Any) -> Any:
        """Draws (count, D), differentiable in `values`."""
        with self._scope(values):
            return backend.vectorize(self.posterior.transform)(noise)

    def density_of_draws(self, values: Any, noise: Any) -> tuple[Any, Any]:
        """(log q(z) in nats (count,), its slope in z (count, D)) at the draws of this noise."""
        with self._scope(values):
            found: tuple[Any, Any] = self.posterior.density_of_draws(noise)
        return found

    def stddev(self) -> Any:
        """Standard deviations (D,) now, NumPy float64."""
        return ops.convert_to_numpy(self.posterior.stddev()).astype("float64")

    def spread(self, stddev: Any) -> None:
        """Make them these (D,), in proportion to the ones it was built with."""
        ratio = stddev / self.stddev()
        for name, variable in zip(self.names, self.variables, strict=True):
            value = ops.convert_to_numpy(variable).astype("float64")
            if name == "rho":
                variable.assign(softplus_inverse(ratio * np.logaddexp(0.0, value)))
            elif name == "scale_tril":
                diagonal = ratio * np.logaddexp(0.0, np.diagonal(value))
                below = ratio[:, None] * np.tril(value, -1)
                variable.assign(below + np.diag(softplus_inverse(diagonal)))
            elif name == "factor":
                variable.assign(ratio * value)

    def units(self, stddev: Any) -> list[Any]:
        """What one unit of the learning rate is of each variable, for weights of this spread.

        Rows of L and B move in proportion to it and logarithms of scales by themselves; a mean by
        50 times it or 1, whichever is less, but by no less than 0.1.
        """
        found = []
        for name in self.names:
            unit = np.ones_like(stddev)
            if name == "loc":
                unit = np.clip(50.0 * stddev, 0.1, 1.0)
            elif name == "factor":
                unit = stddev
            elif name == "scale_tril":
                unit = np.tril(np.repeat(stddev[:, None], len(stddev), axis=1), -1)
                np.fill_diagonal(unit, 1.0)
            found.append(ops.convert_to_tensor(unit.astype("float32")))
        return found

    def sample(self, values: Any, seed: Any) -> Any:
        """One draw (D,)."""
        with self._scope(values):
            return self.posterior.sample(seed)

    def _scope(self, values: Any) -> Any:
        mapping = list(zip(self.variables, values, strict=True))
        return keras.StatelessScope(state_mapping=mapping)
