"""JAX: Hamiltonian Monte Carlo of several chains in one compiled program."""

import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from keras_priors.backend.jax.calculus import vectorize
from keras_priors.backend.tfp import mcmc as _tfp_mcmc


def _uniform_integer(seed: Any, most: int) -> Any:
    return jax.random.randint(seed, (), 1, most + 1)


_NUMERIC = _tfp_mcmc.Numeric(
    jnp.exp, jnp.minimum, jnp.where, lambda q: jnp.sum(q, -1), _uniform_integer
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
    from keras_priors.backend.jax.distributions import _probability

    tfp = _probability()
    of_chains = vectorize(log_prob_and_gradient)

    def to_z(q: Any, scale: Any) -> Any:
        return q * scale if scale.ndim == 1 else q @ scale.T

    # The gradient is known with the value: TFP shall not differentiate what makes it.
    @jax.custom_vjp  # type: ignore[untyped-decorator]
    def density(q: Any, scale: Any, data: Any) -> Any:
        return of_chains(to_z(q, scale), data)[0]

    def forward(q: Any, scale: Any, data: Any) -> Any:
        value, slope = of_chains(to_z(q, scale), data)
        return value, slope * scale if scale.ndim == 1 else slope @ scale

    def backward(slope: Any, upstream: Any) -> Any:
        return upstream[:, None] * slope, None, None

    density.defvjp(forward, backward)

    def run(state: Any, count: Any, adapt: Any, scale: Any, data: Any) -> Any:
        one = _tfp_mcmc.transition(
            tfp, _NUMERIC, lambda q: density(q, scale, data), steps, target_accept, nuts
        )

        def body(state: Any) -> Any:
            state = state | {"seed": jax.random.wrap_key_data(state["seed"], impl="threefry2x32")}
            state, statistics = one(state, adapt)
            record = statistics | {"z": to_z(state["position"], scale)}
            return state | {"seed": jax.random.key_data(state["seed"])}, record

        def step(k: Any, carry: Any) -> Any:
            state, records = carry
            state, record = body(state)
            return state, jax.tree.map(lambda a, row: a.at[k].set(row), records, record)

        empty = jax.tree.map(
            lambda leaf: jnp.zeros((capacity, *leaf.shape), leaf.dtype),
            jax.eval_shape(body, state)[1],
        )
        state, records = jax.lax.fori_loop(0, count, step, (state, empty))
        return state, records.pop("z"), records

    def traced(*args: Any) -> Any:
        with warnings.catch_warnings():
            # TFP asks for the shape of what a kernel leaves out.
            warnings.filterwarnings("ignore", "shape requires ndarray", DeprecationWarning)
            return run(*args)

    return jax.jit(traced)  # type: ignore[no-any-return]
