"""Standard normals and random signs on JAX: unrolled Threefry that XLA fuses into one loop.

`jax.random.normal` rolls its rounds on the CPU and costs four to six times as much there.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from keras_priors.backend.tfp import noise_constants as consts


def standard_normal(shape: tuple[int, ...], seed: jax.Array, dtype: str = "float32") -> jax.Array:
    _check_size(shape)
    # Half precision is drawn in float32 and rounded; 31 bits are too few for float64.
    exact = jax.dtypes.canonicalize_dtype(dtype)  # float32 for float64 where JAX has no float64
    if exact == np.float64:
        return jax.random.normal(seed, shape, exact)
    return _unfused_normals(seed, (tuple(shape),))[0].astype(exact)


def standard_normals(
    shapes: Sequence[tuple[int, ...]], seed: jax.Array, dtype: str = "float32"
) -> list[jax.Array]:
    sizes = [math.prod(shape) for shape in shapes]
    _check_size((sum(sizes),))
    exact = jax.dtypes.canonicalize_dtype(dtype)
    if exact == np.float64:
        flat = jax.random.normal(seed, (sum(sizes),), exact)
        parts = jnp.split(flat, np.cumsum(sizes)[:-1])
        return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
    draws = _unfused_normals(seed, tuple(tuple(shape) for shape in shapes))
    return [draw.astype(exact) for draw in draws]


def normals_from(shape: tuple[int, ...], seed: jax.Array, first: jax.Array) -> jax.Array:
    """A part of a longer draw of `standard_normal`: the same numbers from the one numbered `first`.

    `first` is an integer scalar that only the running program knows.
    """
    return _normals_from(seed, tuple(shape), first)


def random_signs(shape: tuple[int, ...], seed: jax.Array, dtype: str = "float32") -> jax.Array:
    _check_size(shape)
    return _random_signs(seed, tuple(shape)).astype(jax.dtypes.canonicalize_dtype(dtype))


def _check_size(shape: tuple[int, ...]) -> None:
    # A size may also be symbolic, in `jax.export`.
    if (
        all(isinstance(size, (int, np.integer)) for size in shape)
        and math.prod(shape) > consts.MAX_WORDS
    ):
        raise ValueError(
            f"One draw has at most 2**31 - 1 elements. Received: shape={tuple(shape)}. "
            "Draw it in parts, each with its own seed."
        )


@functools.partial(jax.jit, static_argnums=(1, 2))
def _standard_normal(seed: jax.Array, shape: tuple[int, ...], first: int = 0) -> jax.Array:
    return _normal(seed, shape, np.uint32(first))


def _normal(seed: jax.Array, shape: tuple[int, ...], first: Any) -> jax.Array:
    words = _words(seed, math.prod(shape), consts.NORMAL_STREAM, first)
    magnitude = (words & np.uint32(consts.LOW_31_BITS)).astype(jnp.int32)
    tail = (magnitude.astype(jnp.float32) + np.float32(0.5)) * np.float32(2.0**-31)
    neg_log = _neg_log(tail)
    z = neg_log * _horner(consts.TAIL_NUMERATOR, neg_log)
    z = z / _horner(consts.TAIL_DENOMINATOR, neg_log)
    bits = lax.bitcast_convert_type(z, jnp.uint32) | (words & np.uint32(consts.TOP_BIT))
    return lax.bitcast_convert_type(bits, jnp.float32).reshape(shape)


# Compiled once for each shape also outside of a step: a branch met eagerly compiles at every call.
@functools.partial(jax.jit, static_argnums=1)
def _unfused_normals(seed: jax.Array, shapes: tuple[tuple[int, ...], ...]) -> list[jax.Array]:
    firsts = [sum(math.prod(shape) for shape in shapes[:k]) for k in range(len(shapes))]

    def plain(seed: jax.Array) -> list[jax.Array]:
        return [
            _standard_normal(seed, shape, first)
            for shape, first in zip(shapes, firsts, strict=True)
        ]

    return _unfused(plain, seed)


@functools.partial(jax.jit, static_argnums=1)
def _normals_from(seed: jax.Array, shape: tuple[int, ...], first: jax.Array) -> jax.Array:
    first = first.astype(jnp.uint32)
    return _unfused(lambda seed: [_normal(seed, shape, first)], seed)[0]


def _unfused(plain: Callable[[jax.Array], list[jax.Array]], seed: jax.Array) -> list[jax.Array]:
    # XLA would fuse the draw of a weight into whatever uses it, and hash anew for the gradient,
    # or, for the bias of a layer, once for each row. It does not fuse across a branch that only
    # the running step can decide; the rare one negates the draw, which is a draw from the same
    # distribution. On a GPU a branch would wait for the host.
    def branch(seed: jax.Array) -> list[jax.Array]:
        draws: list[jax.Array] = lax.cond(
            seed[0] == np.uint32(consts.KEY_PARITY),
            lambda: [-draw for draw in plain(seed)],
            lambda: plain(seed),
        )
        return draws

    draws: list[jax.Array] = lax.platform_dependent(seed, cpu=branch, default=plain)
    return draws


@functools.partial(jax.jit, static_argnums=1)
def _random_signs(seed: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    words = _words(seed, math.prod(shape), consts.SIGN_STREAM)
    bits = (words & np.uint32(consts.TOP_BIT)) | np.uint32(consts.ONE_AS_BITS)
    return lax.bitcast_convert_type(bits, jnp.float32).reshape(shape)


def _words(seed: jax.Array, count: int, stream: int, first: Any = 0) -> jax.Array:
    """`count` words of Threefry-2x32 under the key `seed`, from the one numbered `first`."""
    seed = seed.astype(jnp.uint32)
    keys = (seed[0], seed[1], seed[0] ^ seed[1] ^ np.uint32(consts.KEY_PARITY))
    x = lax.iota(jnp.uint32, count) + (keys[0] + first)
    y = jnp.full_like(x, stream) + keys[1]
    for i in range(consts.ROUNDS):
        rotation = consts.ROTATIONS[i // 4 % 2][i % 4]
        x = x + y
        y = ((y << np.uint32(rotation)) | (y >> np.uint32(32 - rotation))) ^ x
        if i % 4 == 3:
            j = i // 4 + 1
            x = x + keys[j % 3]
            y = y + (keys[(j + 1) % 3] + np.uint32(j))
    return x


def _neg_log(x: jax.Array) -> jax.Array:
    """-log(x) of normal positive float32 numbers, relatively exact at 1."""
    bits = lax.bitcast_convert_type(x, jnp.int32)
    exponent = (bits - np.int32(consts.TWO_THIRDS_AS_BITS)) & np.int32(consts.EXPONENT_MASK)
    t = lax.bitcast_convert_type(bits - exponent, jnp.float32) - np.float32(1)
    k = exponent.astype(jnp.float32) * np.float32(-consts.LOG_2 * consts.EXPONENT_UNIT)
    return k - t * _horner(consts.LOG_SERIES, t)


def _horner(coefficients: tuple[float, ...], x: jax.Array) -> jax.Array:
    total = jnp.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        total = total * x + np.float32(coefficient)
    return total
