"""JAX: derivatives, vectorization, sums over blocks and minimization of pure functions."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


def value_and_gradient(function: Callable[..., Any]) -> Callable[..., Any]:
    """From f(x, *others), a scalar, to (f, df/dx); x may be a structure of tensors."""
    return jax.value_and_grad(function)  # type: ignore[no-any-return]


def jacobian(function: Callable[..., Any]) -> Callable[..., Any]:
    """From f(x, *others), a vector (K,), to df/dx (K, D) for x (D,)."""
    return jax.jacrev(function)  # type: ignore[no-any-return]


def hessian(function: Callable[..., Any]) -> Callable[..., Any]:
    """From f(x, *others), a scalar, to d2f/dx2 (D, D) for x (D,)."""
    return jax.hessian(function)  # type: ignore[no-any-return]


def jacobian_vector_product(function: Callable[..., Any]) -> Callable[..., Any]:
    """From f(x, *others) to df/dx v, a function of (x, v, *others)."""

    def product(x: Any, v: Any, *others: Any) -> Any:
        return jax.jvp(lambda x: function(x, *others), (x,), (v,))[1]

    return product


def vectorize(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` over the leading axis of its first argument; the others are shared."""

    def over_first(first: Any, *others: Any) -> Any:
        return jax.vmap(lambda each: function(each, *others))(first)

    return over_first


def sum_over(function: Callable[[Any], Any], elements: Any) -> Any:
    """The sum of `function(element)` over the leading axis of `elements`, one at a time."""
    first = jax.tree.map(lambda leaf: leaf[0], elements)
    if jax.tree.leaves(elements)[0].shape[0] == 1:
        return function(first)
    zero = jax.tree.map(
        lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(function, first)
    )

    def add(total: Any, element: Any) -> tuple[Any, None]:
        return jax.tree.map(jnp.add, total, function(element)), None

    return jax.lax.scan(add, zero, elements)[0]


def minimize(
    value_and_gradient: Callable[[Any], Any], start: Any, iterations: int, tolerance: float
) -> tuple[Any, Any, Any]:
    """L-BFGS: (position, value, converged) from a pure function to (value, gradient)."""
    from keras_priors.backend.jax.distributions import _probability

    found = _probability().optimizer.lbfgs_minimize(
        value_and_gradient,
        initial_position=start,
        num_correction_pairs=20,
        tolerance=tolerance,
        max_iterations=iterations,
        max_line_search_iterations=50,
    )
    return found.position, found.objective_value, found.converged
