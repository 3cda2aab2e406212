"""TensorFlow: draws from distributions of TFP."""

from typing import Any

import tensorflow as tf


def sample(value: Any, shape: tuple[int, ...], seed: Any) -> Any:
    return value.sample(shape, seed=tf.cast(seed, tf.int32))
