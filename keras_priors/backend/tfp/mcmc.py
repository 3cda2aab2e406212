"""TensorFlow and JAX: Hamiltonian Monte Carlo of several chains in one compiled program.

The kernels move in q, with z = F q: the same as the mass matrix (F F^T)^-1, with a step size that
is one number. F is diag(s) or a matrix, of `scale` (s,), or diag(s) (I + U diag(c) U^T), of
(s, U, c).
"""

from collections.abc import Callable
from typing import Any

import keras

from keras_priors.backend.tfp.library import probability
from keras_priors.backend.tfp.transition import Chains, transition

if keras.config.backend() == "tensorflow":
    from keras_priors.backend.tensorflow.calculus import vectorize
    from keras_priors.backend.tensorflow.mcmc import (
        NUMERIC,
        acceptance_of_all,
        compile_chains,
        seed_of_chains,
        with_known_gradient,
    )
else:
    from keras_priors.backend.jax.calculus import vectorize
    from keras_priors.backend.jax.mcmc import (
        NUMERIC,
        acceptance_of_all,
        compile_chains,
        seed_of_chains,
        with_known_gradient,
    )


def check_mcmc(name: str) -> None:
    pass  # there are


def hamiltonian(
    log_prob_and_gradient: Callable[[Any, Any], tuple[Any, Any]],
    capacity: int,
    steps: int,
    target_accept: float,
    nuts: bool,
    layout: Any,
) -> Callable[..., Any]:
    tfp = probability()
    of_chains = vectorize(log_prob_and_gradient)

    def to_z(q: Any, scale: Any) -> Any:
        first, *low_rank = scale
        if len(first.shape) == 2:
            return NUMERIC.times_transposed(q, first)
        return first * _stretched(q, *low_rank)

    # Values (C,) and slopes by q (C, D) of all chains.
    def value_and_slope(q: Any, scale: Any, data: Any) -> Any:
        value, slope = of_chains(to_z(q, scale), data)
        first, *low_rank = scale
        if len(first.shape) == 2:
            return value, slope @ first
        return value, _stretched(first * slope, *low_rank)

    # The gradient is known with the value: TFP shall not differentiate what makes it. This one
    # gives the values, its derivative by q is the slopes, and it has no others.
    density = with_known_gradient(value_and_slope)

    def advance_for(adapt: Any, scale: Any, data: Any) -> Callable[[Any], Any]:
        one = transition(
            tfp,
            NUMERIC,
            Chains(seed_of_chains, acceptance_of_all),
            lambda q: density(q, scale, data),
            steps,
            target_accept,
            nuts,
        )

        # To the next state and what is recorded, of which `capacity` rows are kept.
        def advance(state: Any) -> Any:
            state, statistics = one(state, adapt)
            found = {"z": to_z(state["position"], scale), "slope": state["gradient"]}
            return state, statistics | found

        return advance

    return compile_chains(advance_for, capacity, nuts, layout)


def _stretched(v: Any, directions: Any = None, stretch: Any = None) -> Any:
    """v (I + U diag(c) U^T), or v."""
    if directions is None:
        return v
    return v + NUMERIC.times_transposed((v @ directions) * stretch, directions)
