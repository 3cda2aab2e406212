"""Standard normals and random signs on TensorFlow: unrolled Threefry in one small XLA loop.

Outside XLA every one of its operations would be a pass over memory, so the words and the
transform are a nested function that XLA always compiles, whatever compiles the step around it.
`tf.random.stateless_normal` costs the CPU about three times as much, and thirty times more under
XLA with its default generator.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_priors.backend.tfp import noise_constants as consts


def standard_normal(shape: tuple[Any, ...], seed: tf.Tensor, dtype: str = "float32") -> tf.Tensor:
    # Half precision is drawn in float32 and rounded; 31 bits are too few for float64.
    if dtype == "float64":
        key = tf.bitcast(tf.cast(seed, "uint32"), "int32")
        return tf.random.stateless_normal(shape, key, dtype=dtype, alg="philox")
    return _draw(_flat_normal, shape, seed, dtype)


def standard_normals(
    shapes: Sequence[tuple[int, ...]], seed: tf.Tensor, dtype: str = "float32"
) -> list[tf.Tensor]:
    # One call: it costs as much as some thousand draws.
    sizes = [math.prod(shape) for shape in shapes]
    parts = tf.split(standard_normal((sum(sizes),), seed, dtype), sizes)
    return [tf.reshape(part, shape) for part, shape in zip(parts, shapes, strict=True)]


def random_signs(shape: tuple[Any, ...], seed: tf.Tensor, dtype: str = "float32") -> tf.Tensor:
    return _draw(_flat_signs, shape, seed, dtype)


def _draw(function: Any, shape: tuple[Any, ...], seed: tf.Tensor, dtype: str) -> tf.Tensor:
    key = tf.cast(seed, "uint32")
    if all(isinstance(size, (int, np.integer)) for size in shape):
        count = int(np.prod(shape, dtype="int64"))
        if count > consts.MAX_WORDS:
            raise ValueError(
                f"One draw has at most 2**31 - 1 elements. Received: shape={tuple(shape)}. "
                "Draw it in parts, each with its own seed."
            )
        flat = function(key, tf.constant(count, "int32"))
    else:
        count = tf.reduce_prod(tf.stack([tf.cast(size, "int32") for size in shape]))
        flat = function(key, _round_up(count))[:count]
    return tf.cast(tf.reshape(flat, shape), dtype)


# XLA compiles the functions below anew for every value of `count`. A count that only the running
# step knows (a batch, the last one shorter) is rounded up to one of these: at most a quarter is
# wasted and few are compiled. A word depends on its own index alone, so cutting is exact.
_DYNAMIC_COUNTS = [1024] + [k << n for n in range(8, 29) for k in (5, 6, 7, 8) if k << n < 2**31]


def _round_up(count: tf.Tensor) -> tf.Tensor:
    counts = tf.constant([*_DYNAMIC_COUNTS, consts.MAX_WORDS], "int32")
    return tf.reduce_min(tf.where(counts >= count, counts, consts.MAX_WORDS))


_compiled = tf.function(
    jit_compile=True,
    autograph=False,
    input_signature=[tf.TensorSpec((2,), "uint32"), tf.TensorSpec((), "int32")],
)


@_compiled  # type: ignore[untyped-decorator]
def _flat_normal(key: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    words = _words(key, count, consts.NORMAL_STREAM)
    magnitude = tf.bitcast(words & _uint32(consts.LOW_31_BITS), "int32")
    tail = (tf.cast(magnitude, "float32") + 0.5) * 2.0**-31
    depth = neg_log(tail)
    z = depth * horner(consts.TAIL_NUMERATOR, depth)
    z = z / horner(consts.TAIL_DENOMINATOR, depth)
    return tf.bitcast(tf.bitcast(z, "uint32") | (words & _uint32(consts.TOP_BIT)), "float32")


@_compiled  # type: ignore[untyped-decorator]
def _flat_signs(key: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    words = _words(key, count, consts.SIGN_STREAM)
    bits = (words & _uint32(consts.TOP_BIT)) | _uint32(consts.ONE_AS_BITS)
    return tf.bitcast(bits, "float32")


def _words(key: tf.Tensor, count: tf.Tensor, stream: int) -> tf.Tensor:
    """`count` words of Threefry-2x32 under the key."""
    keys = (key[0], key[1], key[0] ^ key[1] ^ _uint32(consts.KEY_PARITY))
    x = tf.cast(tf.range(count), "uint32") + keys[0]
    y = keys[1] + _uint32(stream)
    for i in range(consts.ROUNDS):
        rotation = consts.ROTATIONS[i // 4 % 2][i % 4]
        x = x + y
        left = tf.bitwise.left_shift(y, _uint32(rotation))
        right = tf.bitwise.right_shift(y, _uint32(32 - rotation))
        y = (left | right) ^ x
        if i % 4 == 3:
            j = i // 4 + 1
            x = x + keys[j % 3]
            y = y + (keys[(j + 1) % 3] + _uint32(j))
    return x


def neg_log(x: tf.Tensor) -> tf.Tensor:
    """-log(x) of normal positive float32 numbers, relatively exact at 1."""
    bits = tf.bitcast(x, "int32")
    exponent = (bits - consts.TWO_THIRDS_AS_BITS) & tf.constant(consts.EXPONENT_MASK, "int32")
    t = tf.bitcast(bits - exponent, "float32") - 1.0
    k = tf.cast(exponent, "float32") * (-consts.LOG_2 * consts.EXPONENT_UNIT)
    return k - t * horner(consts.LOG_SERIES, t)


def horner(coefficients: tuple[float, ...], x: tf.Tensor) -> tf.Tensor:
    """A polynomial at x; highest power first."""
    total = tf.constant(coefficients[0], "float32")
    for coefficient in coefficients[1:]:
        total = total * x + coefficient
    return total


def _uint32(value: int) -> tf.Tensor:
    return tf.constant(value, "uint32")
