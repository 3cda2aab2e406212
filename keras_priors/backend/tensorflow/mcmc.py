"""TensorFlow: what Hamiltonian Monte Carlo takes of it, the loop over transitions above all."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from keras_priors.backend.tfp.transition import Numeric


def _uniform_integer(seed: Any, most: int) -> Any:
    return tf.random.stateless_uniform((), seed, 1, most + 1, tf.int32)


NUMERIC = Numeric(
    tf.exp,
    tf.minimum,
    tf.where,
    lambda q: tf.reduce_sum(q, -1),
    lambda q, matrix: tf.linalg.matmul(q, matrix, transpose_b=True),
    _uniform_integer,
)


def seed_of_chains(seed: Any) -> Any:
    """The seed: all chains are here."""
    return seed


def acceptance_of_all(of_chains: Any, adapt: Any) -> Any:
    """What it is given: all chains are here."""
    return of_chains


def with_known_gradient(value_and_slope: Callable[..., Any]) -> Callable[..., Any]:
    """A density whose slope is known with it; `tfp/mcmc.py` says of what."""

    def density(q: Any, scale: Any, data: Any) -> Any:
        @tf.custom_gradient  # type: ignore[untyped-decorator]
        def of(q: Any) -> Any:
            value, slope = value_and_slope(q, scale, data)
            return value, lambda upstream: upstream[:, None] * slope

        return of(q)

    return density


def compile_chains(
    advance_for: Callable[..., Any], capacity: int, nuts: bool, layout: Any
) -> Callable[..., Any]:
    """The loop over transitions, compiled; `tfp/mcmc.py` says of what."""

    def run(state: Any, count: Any, adapt: Any, scale: Any, data: Any) -> Any:
        advance = advance_for(adapt, scale, data)

        def body(k: Any, state: Any, arrays: Any) -> Any:
            state, record = advance(state)
            return k + 1, state, {n: a.write(k, record[n]) for n, a in arrays.items()}

        arrays = {
            name: tf.TensorArray(dtype, capacity, element_shape=state["position"].shape[:rank])
            for name, (dtype, rank) in _RECORDS.items()
            if nuts or name not in _OF_NUTS
        }
        state = state | {"seed": tf.bitcast(state["seed"], tf.int32)}
        _, state, arrays = tf.while_loop(
            lambda k, *_: k < count, body, (tf.constant(0), state, arrays), parallel_iterations=1
        )
        records = {name: array.stack() for name, array in arrays.items()}
        state = state | {"seed": tf.bitcast(state["seed"], tf.uint32)}
        return state, records.pop("z"), records

    return tf.function(run, jit_compile=True)  # type: ignore[no-any-return]


# Their shapes are told before the loop is traced, which JAX finds by itself.
_OF_NUTS = ("reached_max_treedepth", "energy")
_RECORDS = {
    "z": (tf.float32, 2),
    "slope": (tf.float32, 2),
    "lp": (tf.float32, 1),
    "acceptance_rate": (tf.float32, 1),
    "step_size": (tf.float32, 1),
    "diverging": (tf.bool, 1),
    "n_steps": (tf.int32, 1),
    "reached_max_treedepth": (tf.bool, 1),
    "energy": (tf.float32, 1),
}
