"""TensorFlow: TFP distributions, `tf.function`, a compiled loop over draws."""

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from keras_priors.backend.support import Support
from keras_priors.backend.tfp import distributions as _tfp
from keras_priors.backend.tfp.from_density import from_density
from keras_priors.backend.tfp.support import tfp_support


def _probability() -> Any:
    # Imported on first use: it takes seconds.
    import tensorflow_probability as tfp

    return tfp


def distribution(kind: str, **parameters: Any) -> Any:
    """A native distribution object; `parameters` in TFP's vocabulary."""
    return _tfp.build(_probability(), kind, parameters)


def distribution_from(
    kind: str,
    parameters: dict[str, Any],
    shape: tuple[int, ...],
    log_prob: Callable[[Any], Any],
    draw: Callable[[Any, Any], Any],
) -> Any:
    """The library's class `kind`; where it has none, a distribution made of two functions.

    Args:
        kind: the name of the class.
        parameters: tensors, what that class takes.
        shape: the batch shape.
        log_prob: function of a tensor, the log density of each element.
        draw: function of a shape and a seed (what `as_seed` takes), a draw.
    """
    if kind in vars(_probability().distributions):
        return distribution(kind, **parameters)
    return from_density(_probability(), kind, shape, log_prob, draw, _words)


def _words(seed: Any) -> Any:
    return tf.bitcast(seed, tf.uint32)


def is_distribution(value: Any) -> bool:
    """Whether `value` is a TFP distribution."""
    return _tfp.is_tfp_distribution(_probability(), value)


def distribution_class(name: str) -> type:
    """The TFP distribution class of that name, and nothing else."""
    return _tfp.find_class(_probability(), name)


def described_distribution(value: Any) -> tuple[str, dict[str, Any]]:
    """Class name and parameters of a native distribution, in the words of its library.

    Raises ValueError where it is of no class of the library's own.
    """
    return _tfp.described(_probability(), value)


def build_described(name: str, parameters: dict[str, Any], checked: bool) -> Any:
    """The native distribution of a description in neutral words, its parameters tensors.

    Raises TypeError or ValueError where the class does not take them; with `checked` it looks at
    their values too.
    """
    try:
        return _tfp.build_described(_probability(), name, parameters, checked)
    except tf.errors.InvalidArgumentError as error:
        raise ValueError(error.message) from error


def support(value: Any) -> Support | None:
    """Where a native distribution has a density; None where it is discrete.

    Raises NotImplementedError where the library does not say.
    """
    return tfp_support(value)


def expand(value: Any, batch_shape: tuple[int, ...]) -> Any:
    """The same distribution with a larger batch."""
    return _probability().distributions.BatchBroadcast(value, with_shape=batch_shape)


def kl_divergence(q: Any, p: Any) -> Any:
    """KL(q‖p) in closed form; raises NotImplementedError where TFP has none for the pair."""
    return _probability().distributions.kl_divergence(q, p)


def mean(value: Any) -> Any:
    """The mean of a native distribution."""
    return value.mean()


def variance(value: Any) -> Any:
    """The variance of a native distribution."""
    return value.variance()


def sample(value: Any, shape: tuple[int, ...], seed: Any) -> Any:
    """Draw from a native distribution; `seed` is a pair of uint32 words."""
    return value.sample(shape, seed=tf.cast(seed, tf.int32))


def compile_function(function: Callable[..., Any]) -> Callable[..., Any]:
    """A graph of a pure function of tensors, reused while shapes stay the same."""
    # TensorFlow counts traces by code object and warns at the fifth: a method of several objects
    # would be counted as one. A partial is counted by itself.
    own = functools.partial(function)
    return tf.function(own, autograph=False, reduce_retracing=True)  # type: ignore[no-any-return]


def map_draws(function: Callable[[Any], Any], elements: Any) -> Any:
    """Stack `function(element)` over the leading axis of `elements`, one at a time."""
    # A function of its own, so that the structure of its outputs is known before the loop is
    # built and `function` is still traced once only.
    one = tf.function(function, autograph=False).get_concrete_function(
        tf.nest.map_structure(lambda leaf: tf.TensorSpec(leaf.shape[1:], leaf.dtype), elements)
    )
    signature = tf.nest.map_structure(
        lambda leaf: tf.TensorSpec(leaf.shape, leaf.dtype), one.structured_outputs
    )
    return tf.map_fn(one, elements, parallel_iterations=1, fn_output_signature=signature)


def bijector(low: Any, high: Any) -> tuple[Any, Any, Any]:
    """Maps of the real line to (low, high) and back; one of the two may be None, no bound.

    Returns:
        Three functions of a tensor: forward, inverse, and log|d forward / dz| of each element.
    """
    both = _tfp.bijector(_probability(), low, high)
    return both.forward, both.inverse, lambda z: both.forward_log_det_jacobian(z, event_ndims=0)


def is_traced() -> bool:
    """Whether `compile_function` traces its function, which then runs without Python."""
    return True


def sync_variables(model: Any) -> None:
    """Give the variables of a model the values that training has reached, also within `fit`."""
