"""JAX: derivatives, vectorization, and sums over blocks of pure functions."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from keras_priors.backend.jax.devices import all_rows


def value_and_gradient(function: Callable[..., Any]) -> Callable[..., Any]:
    return jax.value_and_grad(function)  # type: ignore[no-any-return]


def jacobian(function: Callable[..., Any]) -> Callable[..., Any]:
    return jax.jacrev(function)  # type: ignore[no-any-return]


def hessian(function: Callable[..., Any]) -> Callable[..., Any]:
    return jax.hessian(function)  # type: ignore[no-any-return]


def jacobian_vector_product(function: Callable[..., Any]) -> Callable[..., Any]:

    def product(x: Any, v: Any, *others: Any) -> Any:
        return jax.jvp(lambda x: function(x, *others), (x,), (v,))[1]

    return product


def vectorize(function: Callable[..., Any]) -> Callable[..., Any]:

    def over_first(first: Any, *others: Any) -> Any:
        return jax.vmap(lambda each: function(each, *others))(first)

    return over_first


def sum_over(function: Callable[[Any], Any], elements: Any) -> Any:
    first = jax.tree.map(lambda leaf: leaf[0], elements)
    if jax.tree.leaves(elements)[0].shape[0] == 1:
        return all_rows(function(first))
    zero = jax.tree.map(
        lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(function, first)
    )

    def add(total: Any, element: Any) -> tuple[Any, None]:
        return jax.tree.map(jnp.add, total, function(element)), None

    return all_rows(jax.lax.scan(add, zero, elements)[0])
