"""TensorFlow: Hamiltonian Monte Carlo of several chains in one compiled program."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from keras_priors.backend.tensorflow.calculus import vectorize
from keras_priors.backend.tfp import mcmc as _tfp_mcmc


def _uniform_integer(seed: Any, most: int) -> Any:
    return tf.random.stateless_uniform((), seed, 1, most + 1, tf.int32)


_NUMERIC = _tfp_mcmc.Numeric(
    tf.exp, tf.minimum, tf.where, lambda q: tf.reduce_sum(q, -1), _uniform_integer
)


def check_mcmc(name: str) -> None:
    """Raises NotImplementedError where there are no kernels."""


def hamiltonian(
    log_prob_and_gradient: Callable[[Any, Any], tuple[Any, Any]],
    capacity: int,
    steps: int,
    target_accept: float,
    nuts: bool,
) -> Callable[..., Any]:
    """A compiled f(state, count, adapt, scale, data) to (state, draws of z, statistics).

    Args:
        log_prob_and_gradient: function of z (D,) and data.
        capacity: integer, the most transitions of a call: the leading axis of what it records, of
            which the first `count` are filled.
        steps: integer, largest depth of a tree of NUTS, or most leapfrog steps of HMC.
        target_accept: float, the acceptance at which the step size aims while `adapt` is True.
        nuts: bool, NUTS or HMC.
    """
    from keras_priors.backend.tensorflow.distributions import _probability

    tfp = _probability()
    of_chains = vectorize(log_prob_and_gradient)

    def to_z(q: Any, scale: Any) -> Any:
        return q * scale if scale.shape.rank == 1 else tf.linalg.matmul(q, scale, transpose_b=True)

    def run(state: Any, count: Any, adapt: Any, scale: Any, data: Any) -> Any:
        # The gradient is known with the value: TFP shall not differentiate what makes it.
        @tf.custom_gradient  # type: ignore[untyped-decorator]
        def density(q: Any) -> Any:
            value, slope = of_chains(to_z(q, scale), data)
            slope = slope * scale if scale.shape.rank == 1 else tf.linalg.matmul(slope, scale)
            return value, lambda upstream: upstream[:, None] * slope

        one = _tfp_mcmc.transition(tfp, _NUMERIC, density, steps, target_accept, nuts)

        def body(k: Any, state: Any, arrays: Any) -> Any:
            state, record = one(state, adapt)
            record = {"z": to_z(state["position"], scale)} | record
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


_OF_NUTS = ("reached_max_treedepth", "energy")
_RECORDS = {
    "z": (tf.float32, 2),
    "lp": (tf.float32, 1),
    "acceptance_rate": (tf.float32, 1),
    "step_size": (tf.float32, 1),
    "diverging": (tf.bool, 1),
    "n_steps": (tf.int32, 1),
    "reached_max_treedepth": (tf.bool, 1),
    "energy": (tf.float32, 1),
}
