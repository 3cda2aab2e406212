"""The hot path of a mean-field normal on TensorFlow.

Outside XLA every operation is a pass over memory, and a KL has a dozen in each direction. So its
value and gradient are computed together in one nested function that XLA always compiles, and what
is left for the backward pass is one product.
"""

from typing import Any

import tensorflow as tf

from keras_priors.backend import _noise_tensorflow as noise

# Below this many elements a compiled call costs more than the passes it saves.
_SMALL = 4096


def mean_field_sample(loc: Any, rho: Any, seed: Any) -> tf.Tensor:
    """loc + softplus(rho) * noise."""
    loc, rho = tf.convert_to_tensor(loc), tf.convert_to_tensor(rho)

    draw = noise.standard_normal(tuple(loc.shape), seed, loc.dtype.name)
    # Not fused with the draw: XLA would then hash once for the value and again for its gradient.
    return loc + tf.math.softplus(rho) * draw


def mean_field_kl(loc: Any, rho: Any, prior_loc: Any, prior_scale: Any) -> tf.Tensor:
    """Sum of KL(N(loc, softplus(rho)^2) ‖ N(prior_loc, prior_scale^2)) in nats."""
    loc, rho = tf.convert_to_tensor(loc), tf.convert_to_tensor(rho)
    prior_loc = tf.cast(prior_loc, loc.dtype)
    prior_scale = tf.cast(prior_scale, loc.dtype)
    function = _kl if loc.shape.num_elements() <= _SMALL else _compiled_kl

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def kl(loc: tf.Tensor, rho: tf.Tensor) -> Any:
        value, by_loc, by_rho = function(loc, rho, prior_loc, prior_scale)
        return value, lambda upstream: (upstream * by_loc, upstream * by_rho)

    return kl(loc, rho)


def _kl(loc: tf.Tensor, rho: tf.Tensor, prior_loc: tf.Tensor, prior_scale: tf.Tensor) -> Any:
    scale = tf.math.softplus(rho)
    slope = tf.math.sigmoid(rho)
    # Below -15, softplus(x) = exp(x) and slope / scale = 1 in float32.
    tail = rho < -15.0
    log_scale = tf.where(tail, rho, tf.math.log(tf.maximum(scale, 1e-7)))
    by_log_scale = tf.where(tail, tf.ones_like(rho), slope / tf.maximum(scale, 1e-7))
    precision = 1.0 / tf.square(prior_scale)
    centred = loc - prior_loc
    elements = 0.5 * precision * (tf.square(scale) + tf.square(centred)) - log_scale
    value = tf.reduce_sum(elements + (tf.math.log(prior_scale) - 0.5))
    by_loc = centred * precision
    by_rho = scale * slope * precision - by_log_scale
    return value, by_loc, by_rho


_compiled_kl = tf.function(_kl, jit_compile=True, autograph=False)
