"""JAX: what Hamiltonian Monte Carlo takes of it, the compiled loop over transitions above all."""

import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from keras_priors.backend.tfp.transition import Numeric


def _uniform_integer(seed: Any, most: int) -> Any:
    return jax.random.randint(seed, (), 1, most + 1)


NUMERIC = Numeric(
    jnp.exp,
    jnp.minimum,
    jnp.where,
    lambda q: jnp.sum(q, -1),
    lambda q, matrix: q @ matrix.T,
    _uniform_integer,
)


def with_known_gradient(value_and_slope: Callable[..., Any]) -> Callable[..., Any]:
    """A density whose slope is known with it; `tfp/mcmc.py` says of what."""

    @jax.custom_vjp  # type: ignore[untyped-decorator]
    def density(q: Any, scale: Any, data: Any) -> Any:
        return value_and_slope(q, scale, data)[0]

    def backward(slope: Any, upstream: Any) -> Any:
        return upstream[:, None] * slope, None, None

    density.defvjp(value_and_slope, backward)
    return density  # type: ignore[no-any-return]


def compile_chains(
    advance_for: Callable[..., Any], capacity: int, nuts: bool
) -> Callable[..., Any]:
    """The loop over transitions, compiled; `tfp/mcmc.py` says of what."""

    def run(state: Any, count: Any, adapt: Any, scale: Any, data: Any) -> Any:
        advance = advance_for(adapt, scale, data)

        def body(state: Any) -> Any:
            state = state | {"seed": jax.random.wrap_key_data(state["seed"], impl="threefry2x32")}
            state, record = advance(state)
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
