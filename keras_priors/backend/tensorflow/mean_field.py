"""The hot path of a mean-field normal on TensorFlow.

Outside XLA every operation is a pass over memory, and a KL has a dozen in each direction. So its
value and gradient are computed together in one nested function that XLA always compiles, and what
is left for the backward pass is one product.
"""

from typing import Any

import tensorflow as tf

from keras_priors.backend.tensorflow.noise import horner, neg_log
from keras_priors.backend.tfp import noise_constants as consts

# Below this many elements a compiled call costs more than the passes it saves.
_SMALL = 4096


def mean_field_scale(rho: Any) -> tf.Tensor:
    return tf.math.softplus(tf.convert_to_tensor(rho))


def mean_field_perturbation(rho: Any, noise: Any) -> tf.Tensor:
    return tf.math.softplus(tf.convert_to_tensor(rho)) * noise


def mean_field_transform(loc: Any, rho: Any, noise: Any) -> tf.Tensor:
    return loc + mean_field_perturbation(rho, noise)


def mean_field_variance(rho: Any) -> tf.Tensor:
    return tf.square(mean_field_scale(rho))


def mean_field_kl(loc: Any, rho: Any, prior_loc: Any, prior_scale: Any) -> tf.Tensor:
    loc, rho = tf.convert_to_tensor(loc), tf.convert_to_tensor(rho)
    prior_loc = tf.cast(prior_loc, loc.dtype)
    prior_scale = tf.cast(prior_scale, loc.dtype)
    small = loc.dtype != tf.float32 or loc.shape.num_elements() <= _SMALL
    function = _kl if small else _compiled_kl

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def kl(loc: tf.Tensor, rho: tf.Tensor) -> Any:
        value, by_loc, by_rho = function(loc, rho, prior_loc, prior_scale)
        return value, lambda upstream: (upstream * by_loc, upstream * by_rho)

    return kl(loc, rho)


def _kl(loc: tf.Tensor, rho: tf.Tensor, prior_loc: tf.Tensor, prior_scale: tf.Tensor) -> Any:
    return _value_and_slopes(
        loc, rho, prior_loc, prior_scale, tf.math.softplus(rho), tf.math.sigmoid(rho), tf.math.log
    )


@tf.function(jit_compile=True, autograph=False)  # type: ignore[untyped-decorator]
def _compiled_kl(
    loc: tf.Tensor, rho: tf.Tensor, prior_loc: tf.Tensor, prior_scale: tf.Tensor
) -> Any:
    # XLA's own softplus and logarithm cost the CPU half as much again: they do not vectorise.
    e = tf.exp(-tf.abs(rho))
    far = e > 1.0 / 3.0  # there log(1 + e) = log 2 + log(1 + (e - 1) / 2)
    t = tf.where(far, 0.5 * (e - 1.0), e)
    log1p = t * horner(consts.LOG_SERIES, t) + tf.where(far, consts.LOG_2, 0.0)
    scale = tf.maximum(rho, 0.0) + log1p
    slope = tf.where(rho >= 0.0, 1.0, e) / (1.0 + e)
    return _value_and_slopes(loc, rho, prior_loc, prior_scale, scale, slope, lambda x: -neg_log(x))


def _value_and_slopes(
    loc: tf.Tensor,
    rho: tf.Tensor,
    prior_loc: tf.Tensor,
    prior_scale: tf.Tensor,
    scale: tf.Tensor,
    slope: tf.Tensor,
    log: Any,
) -> Any:
    # Below -15, softplus(x) = exp(x) and slope / scale = 1 in float32.
    tail, safe = rho < -15.0, tf.maximum(scale, 1e-7)
    log_scale = tf.where(tail, rho, log(safe))
    by_log_scale = tf.where(tail, tf.ones_like(rho), slope / safe)
    precision = 1.0 / tf.square(prior_scale)
    centred = loc - prior_loc
    elements = 0.5 * precision * (tf.square(scale) + tf.square(centred)) - log_scale
    value = tf.reduce_sum(elements + (tf.math.log(prior_scale) - 0.5))
    return value, centred * precision, scale * slope * precision - by_log_scale
