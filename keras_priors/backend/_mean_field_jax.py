"""The hot path of a mean-field normal on JAX: plain operations, which XLA fuses."""

from typing import Any

import jax
import jax.numpy as jnp

from keras_priors.backend._noise_jax import standard_normal


def mean_field_sample(loc: Any, rho: Any, seed: Any) -> Any:
    """loc + softplus(rho) * noise."""
    loc, rho = jnp.asarray(loc), jnp.asarray(rho)
    noise = standard_normal(loc.shape, seed, str(loc.dtype))
    return loc + jax.nn.softplus(rho) * noise


def mean_field_kl(loc: Any, rho: Any, prior_loc: Any, prior_scale: Any) -> Any:
    """Sum of KL(N(loc, softplus(rho)^2) ‖ N(prior_loc, prior_scale^2)) in nats."""
    loc, rho = jnp.asarray(loc), jnp.asarray(rho)
    prior_loc = jnp.asarray(prior_loc, loc.dtype)
    prior_scale = jnp.asarray(prior_scale, loc.dtype)
    scale = jax.nn.softplus(rho)  # the same expression as in the draw: XLA computes it once
    # Below -15, softplus(x) = exp(x) in float32; the maximum keeps the gradient finite.
    log_scale = jnp.where(rho < -15.0, rho, jnp.log(jnp.maximum(scale, 1e-7)))
    squares = (jnp.square(scale) + jnp.square(loc - prior_loc)) * (0.5 / jnp.square(prior_scale))
    return jnp.sum(squares - log_scale + (jnp.log(prior_scale) - 0.5))
