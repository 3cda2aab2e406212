"""A normal family over one flat vector, as pure functions of its variables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from keras_priors import backend

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

    def log_prob(self, values: Any, z: Any) -> Any:
        """log q(z) in nats of z (count, D): (count,)."""
        with self._scope(values):
            density = self.posterior.distribution().log_prob(z)
        return ops.sum(density, axis=-1) if len(density.shape) == 2 else density

    def sample(self, values: Any, seed: Any) -> Any:
        """One draw (D,)."""
        with self._scope(values):
            return self.posterior.sample(seed)

    def _scope(self, values: Any) -> Any:
        mapping = list(zip(self.variables, values, strict=True))
        return keras.StatelessScope(state_mapping=mapping)
