"""The distribution of NumPyro that a weight has."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from numpyro.distributions import constraints

from keras_priors.priors.prior import Prior


def site_distribution(path: str, prior: Any, shape: tuple[int, ...]) -> Any:
    """One event of the shape of a weight.

    Args:
        path: of the weight, for messages.
        prior: a prior without unknown scales, a distribution of NumPyro, or None for a flat one.
        shape: the shape of the weight.
    """
    if prior is None:
        return dist.ImproperUniform(constraints.real, (), shape)
    if isinstance(prior, Prior):
        prior.check_shape(shape)
        return PriorDistribution(prior, shape)
    found = (*prior.batch_shape, *prior.event_shape)
    if found != shape:
        raise ValueError(
            f"The distribution of {path} must have the shape {shape} of the weight. Received: "
            f"{type(prior).__name__} of shape {found}. Write `.expand({list(shape)})`."
        )
    return prior.to_event(len(prior.batch_shape))


class PriorDistribution(dist.Distribution):  # type: ignore[misc, unused-ignore]
    """One weight with its prior: our density and draws, and NumPyro's support."""

    pytree_aux_fields = ("prior",)

    def __init__(self, prior: Any, shape: tuple[int, ...]) -> None:
        self.prior = prior
        super().__init__((), tuple(shape), validate_args=False)

    @property
    def support(self) -> Any:
        """The interval that the prior is on, for all elements."""
        low, high = (np.asarray(bound, "float32") for bound in self.prior.support)
        below, above = np.all(np.isfinite(low)), np.all(np.isfinite(high))
        if below and above:
            each = constraints.interval(low, high)
        elif below:
            each = constraints.greater_than(low)
        else:
            each = constraints.less_than(high) if above else constraints.real
        return constraints.independent(each, len(self.event_shape))

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Any:
        if jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
            key = jax.random.key_data(key)
        if not sample_shape:
            return self.prior.sample(self.event_shape, key)
        keys = jax.random.split(key, math.prod(sample_shape))
        draws = jax.vmap(lambda each: self.prior.sample(self.event_shape, each))(keys)
        return draws.reshape(*sample_shape, *self.event_shape)

    def log_prob(self, value: Any) -> Any:
        batch = jnp.shape(value)[: jnp.ndim(value) - len(self.event_shape)]
        flat = jnp.reshape(value, (-1, *self.event_shape))
        return jax.vmap(self.prior.log_prob)(flat).reshape(batch)
