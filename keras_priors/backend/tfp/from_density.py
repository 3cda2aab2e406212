"""A TFP distribution made of its log density and its sampler."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

from keras_priors.backend.tfp.library import probability, seed_words


def from_density(
    kind: str,
    shape: tuple[int, ...],
    log_prob: Callable[[Any], Any],
    draw: Callable[[Any, Any], Any],
) -> Any:
    """Independent real elements, in a batch of `shape`, with the given functions."""
    return _class()(kind, shape, log_prob, draw)


@functools.cache
def _class() -> Any:
    # Made on first use: importing TFP takes seconds.
    tfp = probability()
    base: Any = tfp.distributions.Distribution

    class FromDensity(base):
        """Independent real elements whose log density and draws are given as functions."""

        def __init__(self, kind: str, shape: Any, log_prob: Any, draw: Any) -> None:
            super().__init__(
                dtype=np.float32,
                reparameterization_type=tfp.distributions.NOT_REPARAMETERIZED,
                validate_args=False,
                allow_nan_stats=True,
                parameters={
                    "kind": kind,
                    "shape": shape,
                    "log_prob": log_prob,
                    "draw": draw,
                },
                name=kind,
            )
            self._given_shape, self._density, self._draw = tuple(shape), log_prob, draw

        @classmethod
        def _parameter_properties(cls, dtype: Any, num_classes: Any = None) -> Any:
            return {}

        def _batch_shape(self) -> Any:
            return self._given_shape

        def _batch_shape_tensor(self) -> Any:
            return np.array(self._given_shape, "int32")

        def _event_shape(self) -> Any:
            return ()

        def _event_shape_tensor(self) -> Any:
            return np.array([], "int32")

        def _log_prob(self, value: Any) -> Any:
            shape = np.broadcast_shapes(tuple(value.shape), self._given_shape)
            return self._density(ops.broadcast_to(value, shape))

        def _sample_n(self, n: Any, seed: Any = None) -> Any:
            words = seed_words(tfp.random.sanitize_seed(seed))
            return self._draw((int(n), *self._given_shape), words)

        def _default_event_space_bijector(self) -> Any:
            return tfp.bijectors.Identity()

    return FromDensity
