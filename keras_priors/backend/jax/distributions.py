"""JAX: draws from distributions of TFP's JAX substrate."""

import functools
import warnings
from typing import Any

import jax

# Rejection samplers: seconds to trace, and by default traced anew for every call. TFP's
# distributions are pytrees; not all of them can sample as an argument of a compiled function.
_SLOW_TO_TRACE = frozenset(
    {"Beta", "Gamma", "HalfStudentT", "InverseGamma", "NegativeBinomial", "Poisson", "StudentT"}
)


def sample(value: Any, shape: tuple[int, ...], seed: Any) -> Any:
    with warnings.catch_warnings():
        # TFP's gamma and Poisson samplers ask for float64 words, and get along without.
        warnings.filterwarnings("ignore", message="Explicitly requested dtype (float|int)64")
        if type(value).__name__ in _SLOW_TO_TRACE:
            return _compiled_sample(value, tuple(shape), seed)
        return value.sample(shape, seed=seed)


@functools.partial(jax.jit, static_argnums=1)
def _compiled_sample(value: Any, shape: tuple[int, ...], seed: Any) -> Any:
    return value.sample(shape, seed=seed)
