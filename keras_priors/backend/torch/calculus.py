"""PyTorch: derivatives, vectorization, sums over blocks and minimization of pure functions."""

import importlib
import warnings
from collections.abc import Callable
from typing import Any

import keras
import torch

from keras_priors.backend.torch.loops import at, map_draws


def value_and_gradient(function: Callable[..., Any]) -> Callable[..., Any]:
    both = torch.func.grad_and_value(function)

    def value_first(x: Any, *others: Any) -> Any:
        gradient, value = both(x, *others)
        return value, gradient

    return value_first


def jacobian(function: Callable[..., Any]) -> Callable[..., Any]:
    return torch.func.jacrev(function)  # type: ignore[no-any-return]


def hessian(function: Callable[..., Any]) -> Callable[..., Any]:
    # Backward over backward: forward mode lacks rules of some operations.
    return torch.func.jacrev(torch.func.jacrev(function))  # type: ignore[no-any-return]


def jacobian_vector_product(function: Callable[..., Any]) -> Callable[..., Any]:
    with warnings.catch_warnings():
        # PyTorch compiles its rules of forward mode at first use by what it calls deprecated.
        warnings.simplefilter("ignore", DeprecationWarning)
        importlib.import_module("torch._decomp.decompositions_for_jvp")

    def product(x: Any, v: Any, *others: Any) -> Any:
        return torch.func.jvp(lambda x: function(x, *others), (x,), (v,))[1]

    return product


def vectorize(function: Callable[..., Any]) -> Callable[..., Any]:

    def over_first(first: Any, *others: Any) -> Any:
        # Keras draws the masks of a recurrent layer with dropout in inference too, and leaves them
        # unused; `vmap` refuses to draw unless it is told how.
        mapped = torch.func.vmap(lambda each: function(each, *others), randomness="different")
        try:
            return mapped(first)
        except RuntimeError as error:
            # Keras lays convolutions out in a memory format that `vmap` does not know: one by one.
            if not any(f"inside {words}" in str(error) for words in ("vmap", "of vmap")):
                raise
        return map_draws(lambda each: function(each, *others), first)

    return over_first


def sum_over(function: Callable[[Any], Any], elements: Any) -> Any:
    count = len(keras.tree.flatten(elements)[0])
    total = None
    for k in range(count):
        part = function(at(elements, k))
        total = part if total is None else keras.tree.map_structure(torch.add, total, part)
    return total


def minimize(
    value_and_gradient: Callable[[Any], Any], start: Any, iterations: int, tolerance: float
) -> tuple[Any, Any, Any]:
    x = start.detach().clone().requires_grad_()
    settings: dict[str, Any] = {
        "history_size": 20,
        "tolerance_grad": tolerance,
        "tolerance_change": 0.0,
    }

    def closure() -> Any:
        value, x.grad = value_and_gradient(x.detach())
        return value

    def steepest() -> Any:
        return torch.max(torch.abs(x.grad))

    with torch.enable_grad():
        torch.optim.LBFGS(
            [x],
            max_iter=iterations,
            max_eval=10 * iterations,
            line_search_fn="strong_wolfe",
            **settings,
        ).step(closure)
        closure()
        # Near the minimum, values differ by less than they are rounded and no line search sees
        # where it goes down: the last steps follow the gradient alone.
        before, slope = x.detach().clone(), steepest()
        if slope > tolerance:
            torch.optim.LBFGS([x], max_iter=min(iterations, 100), **settings).step(closure)
            closure()
            if not steepest() < slope:
                with torch.no_grad():
                    x.copy_(before)
    return x.detach(), closure(), steepest() <= tolerance
