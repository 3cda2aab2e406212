"""TensorFlow: graphs, reused while shapes stay the same."""

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import tensorflow as tf


def compile_function(function: Callable[..., Any]) -> Callable[..., Any]:
    # TensorFlow counts traces by code object and warns at the fifth: a method of several objects
    # would be counted as one. A partial is counted by itself.
    own = functools.partial(function)
    return tf.function(own, autograph=False, reduce_retracing=True)  # type: ignore[no-any-return]


def untraced() -> AbstractContextManager[Any]:
    return tf.init_scope()  # type: ignore[no-any-return]


def sync_variables(model: Any) -> None:
    pass  # Keras trains them themselves
