"""JAX: what Hamiltonian Monte Carlo takes of it, the compiled loop over transitions above all."""

import functools
import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from keras_priors.backend.jax.devices import all_chains, compile_over_chains, running
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

_OF_CHAINS = ("position", "log_prob", "gradient")
_OF_ALL = ("seed", "step_size", "error_sum", "log_average", "adapted", "log_shrinkage")


def seed_of_chains(seed: Any) -> Any:
    """A seed by which a draw for the chains of a device is that part of the draw for all.

    The kernels of TFP draw for the chains that they see, and know of no others: here (n, ...) of
    the (chains, ...) that they would see on one device.
    """
    layout = running()
    return seed if layout is None else jax.random.wrap_key_data(_words(seed), impl=_parts(layout))


def acceptance_of_all(of_chains: Any, adapt: Any) -> Any:
    """(chains,) of what each device has, for the step size that all share.

    Devices wait for each other where it counts, in warmup; else it is anything of that shape.
    """
    layout = running()
    if layout is None:
        return of_chains
    nothing = jnp.zeros(layout.num_chains, of_chains.dtype)
    return jax.lax.cond(adapt, lambda: all_chains(of_chains), lambda: nothing)


def _words(key: Any) -> Any:
    return jax.random.key_data(key)


def _key(words: Any) -> Any:
    return jax.random.wrap_key_data(words, impl="threefry2x32")


@functools.cache
def _parts(layout: Any) -> Any:
    """The kind of such a seed. It is asked for bits after the program was traced."""
    # Part of JAX that is not loaded with it.
    from jax.extend.random import define_prng_impl

    def bits(words: Any, width: int, shape: tuple[int, ...]) -> Any:
        whole = (layout.num_chains, *shape[1:])
        return layout.here(jax.random.bits(_key(words), whole, f"uint{width}"))

    return define_prng_impl(
        key_shape=(2,),
        seed=lambda seed: _words(jax.random.key(seed, impl="threefry2x32")),
        split=lambda words, shape: _words(jax.random.split(_key(words), shape)),
        random_bits=bits,
        fold_in=lambda words, data: _words(jax.random.fold_in(_key(words), data)),
        name="threefry_of_chains",
        tag="toc",
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
    advance_for: Callable[..., Any], capacity: int, nuts: bool, layout: Any
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

    state = dict.fromkeys(_OF_CHAINS, "c") | dict.fromkeys(_OF_ALL, "")
    data = ("", ".r")
    return compile_over_chains(traced, (state, "", "", "", data), (state, ".c", ".c"), layout)
