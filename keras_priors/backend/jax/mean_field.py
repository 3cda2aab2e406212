"""The hot path of a mean-field normal on JAX.

The derivatives are written out, so that XLA finds what draw, KL and their gradients have in
common, and computes it once. Forward mode and higher derivatives work.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero


@jax.custom_jvp  # type: ignore[untyped-decorator]
def _scale(rho: jax.Array) -> jax.Array:
    return _softplus(rho)[0]


@_scale.defjvp  # type: ignore[untyped-decorator]
def _scale_jvp(primals: Any, tangents: Any) -> Any:
    scale, slope = _softplus(*primals)
    return scale, slope * tangents[0]


def mean_field_scale(rho: Any) -> Any:
    return _scale(jnp.asarray(rho))


def mean_field_perturbation(rho: Any, noise: Any) -> Any:
    return mean_field_scale(rho) * noise


def mean_field_transform(loc: Any, rho: Any, noise: Any) -> Any:
    return jnp.asarray(loc) + mean_field_scale(rho) * noise


def mean_field_variance(rho: Any) -> Any:
    return jnp.square(mean_field_scale(rho))


def mean_field_kl(loc: Any, rho: Any, prior_loc: Any, prior_scale: Any) -> Any:
    loc = jnp.asarray(loc)
    rest = (jnp.asarray(x, loc.dtype) for x in (rho, prior_loc, prior_scale))
    return _compiled_kl(loc, *rest)


@jax.custom_jvp  # type: ignore[untyped-decorator]
def _kl(*arguments: jax.Array) -> jax.Array:
    return _value_and_slopes(*arguments)[0]


def _kl_jvp(primals: Any, tangents: Any) -> Any:
    value, *slopes = _value_and_slopes(*primals)
    # The prior is a constant as a rule: then the two slopes by it are dead code.
    moved = [
        jnp.sum(slope * tangent)
        for slope, tangent in zip(slopes, tangents, strict=True)
        if not isinstance(tangent, SymbolicZero)
    ]
    return value, sum(moved[1:], start=moved[0])


_kl.defjvp(_kl_jvp, symbolic_zeros=True)
# So that an eager call does not trace it anew.
_compiled_kl = jax.jit(_kl)


def _value_and_slopes(loc: Any, rho: Any, prior_loc: Any, prior_scale: Any) -> tuple[Any, ...]:
    """The divergence and its derivatives by loc, rho, prior_loc and prior_scale, elementwise."""
    scale, slope = _softplus(rho)
    # Below -15, softplus(x) = exp(x) in float32; the maximum keeps the quotient finite.
    tail, safe = rho < -15.0, jnp.maximum(scale, 1e-7)
    log_scale = jnp.where(tail, rho, jnp.log(safe))
    precision = 1.0 / jnp.square(prior_scale)
    centred = loc - prior_loc
    squares = precision * (jnp.square(scale) + jnp.square(centred))
    elements = 0.5 * squares - log_scale + (jnp.log(prior_scale) - 0.5)
    by_loc = centred * precision
    by_rho = scale * slope * precision - jnp.where(tail, jnp.ones_like(slope), slope / safe)
    return _sum(elements), by_loc, by_rho, -by_loc, (1.0 - squares) / prior_scale


def _softplus(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """softplus(x) and its slope, by one exponential."""
    e = jnp.exp(-jnp.abs(x))
    # `where` would take a Python number as float64 where JAX has it.
    slope = jnp.where(x >= 0.0, jnp.ones_like(e), e) / (1.0 + e)
    return jnp.maximum(x, 0.0) + jnp.log1p(e), slope


def _sum(x: jax.Array) -> jax.Array:
    if x.ndim < 2:
        return jnp.sum(x)
    # A product with ones: XLA on the CPU does not vectorise a sum to one number.
    rows = x.reshape(-1, x.shape[-1])
    ones = jnp.ones((1, rows.shape[0]), x.dtype)
    return jnp.sum(jnp.matmul(ones, rows, precision="highest"))
