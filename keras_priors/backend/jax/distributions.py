"""JAX: TFP's JAX substrate, `jax.jit`, a compiled loop over draws."""

import contextlib
import functools
import importlib
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import jax

from keras_priors.backend.support import Support
from keras_priors.backend.tfp import distributions as _tfp
from keras_priors.backend.tfp.from_density import from_density
from keras_priors.backend.tfp.support import tfp_support

_SUBSTRATE = "tensorflow_probability.substrates.jax"


def _probability() -> Any:
    # Imported on first use: it takes seconds.
    found = sys.modules.get(_SUBSTRATE)
    if found is None:
        _give_back_moved_name()
        with _without_tensorflow():
            found = importlib.import_module(_SUBSTRATE)
    return found


@contextlib.contextmanager
def _without_tensorflow() -> Iterator[None]:
    # The substrate needs no TensorFlow, but imports one that is installed: seconds, and its share
    # of the memory of a GPU. A None in `sys.modules` makes that import fail, as if it were not.
    hidden = "tensorflow" not in sys.modules
    if hidden:
        sys.modules["tensorflow"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if hidden:
            del sys.modules["tensorflow"]


def _give_back_moved_name() -> None:
    # TFP 0.25 reads `jax.interpreters.xla.pytype_aval_mappings` at import; JAX 0.7 moved it.
    import jax.core
    import jax.interpreters.xla

    if "pytype_aval_mappings" not in dir(jax.interpreters.xla):
        jax.interpreters.xla.pytype_aval_mappings = jax.core.pytype_aval_mappings


def distribution(kind: str, **parameters: Any) -> Any:
    """A native distribution object; `parameters` in TFP's vocabulary."""
    return _tfp.build(_probability(), kind, parameters)


def distribution_from(
    kind: str,
    parameters: dict[str, Any],
    shape: tuple[int, ...],
    log_prob: Callable[[Any], Any],
    draw: Callable[[Any, Any], Any],
) -> Any:
    """The library's class `kind`; where it has none, a distribution made of two functions.

    Args:
        kind: the name of the class.
        parameters: tensors, what that class takes.
        shape: the batch shape.
        log_prob: function of a tensor, the log density of each element.
        draw: function of a shape and a seed (what `as_seed` takes), a draw.
    """
    if kind in vars(_probability().distributions):
        return distribution(kind, **parameters)
    return from_density(_probability(), kind, shape, log_prob, draw, _words)


def _words(seed: Any) -> Any:
    # Raw words are one too; TFP makes typed keys.
    return jax.random.key_data(seed)


def is_distribution(value: Any) -> bool:
    """Whether `value` is a distribution of TFP's JAX substrate."""
    return _tfp.is_tfp_distribution(_probability(), value)


def distribution_class(name: str) -> type:
    """The TFP distribution class of that name, and nothing else."""
    return _tfp.find_class(_probability(), name)


def described_distribution(value: Any) -> tuple[str, dict[str, Any]]:
    """Class name and parameters of a native distribution, in the words of its library.

    Raises ValueError where it is of no class of the library's own.
    """
    return _tfp.described(_probability(), value)


def build_described(name: str, parameters: dict[str, Any], checked: bool) -> Any:
    """The native distribution of a description in neutral words, its parameters tensors.

    Raises TypeError or ValueError where the class does not take them; with `checked` it looks at
    their values too.
    """
    return _tfp.build_described(_probability(), name, parameters, checked)


def support(value: Any) -> Support | None:
    """Where a native distribution has a density; None where it is discrete.

    Raises NotImplementedError where the library does not say.
    """
    return tfp_support(value)


def expand(value: Any, batch_shape: tuple[int, ...]) -> Any:
    """The same distribution with a larger batch."""
    return _probability().distributions.BatchBroadcast(value, with_shape=batch_shape)


def kl_divergence(q: Any, p: Any) -> Any:
    """KL(q‖p) in closed form; raises NotImplementedError where TFP has none for the pair."""
    return _probability().distributions.kl_divergence(q, p)


def mean(value: Any) -> Any:
    """The mean of a native distribution."""
    return value.mean()


def variance(value: Any) -> Any:
    """The variance of a native distribution."""
    return value.variance()


def sample(value: Any, shape: tuple[int, ...], seed: Any) -> Any:
    """Draw from a native distribution; `seed` is a pair of uint32 words."""
    with warnings.catch_warnings():
        # TFP's gamma and Poisson samplers ask for float64 words, and get along without.
        warnings.filterwarnings("ignore", message="Explicitly requested dtype (float|int)64")
        if type(value).__name__ in _SLOW_TO_TRACE:
            return _compiled_sample(value, tuple(shape), seed)
        return value.sample(shape, seed=seed)


# Rejection samplers: seconds to trace, and by default traced anew for every call. TFP's
# distributions are pytrees; not all of them can sample as an argument of a compiled function.
_SLOW_TO_TRACE = frozenset(
    {"Beta", "Gamma", "HalfStudentT", "InverseGamma", "NegativeBinomial", "Poisson", "StudentT"}
)


@functools.partial(jax.jit, static_argnums=1)
def _compiled_sample(value: Any, shape: tuple[int, ...], seed: Any) -> Any:
    return value.sample(shape, seed=seed)


def compile_function(function: Callable[..., Any]) -> Callable[..., Any]:
    """`jax.jit` of a pure function of arrays."""
    return jax.jit(function)  # type: ignore[no-any-return]


def map_draws(function: Callable[[Any], Any], elements: Any) -> Any:
    """Stack `function(element)` over the leading axis of `elements`, one at a time."""
    return jax.lax.map(function, elements)


def bijector(low: Any, high: Any) -> tuple[Any, Any, Any]:
    """Maps of the real line to (low, high) and back; one of the two may be None, no bound.

    Returns:
        Three functions of a tensor: forward, inverse, and log|d forward / dz| of each element.
    """
    both = _tfp.bijector(_probability(), low, high)
    return both.forward, both.inverse, lambda z: both.forward_log_det_jacobian(z, event_ndims=0)


def is_traced() -> bool:
    """Whether `compile_function` traces its function, which then runs without Python."""
    return True


def sync_variables(model: Any) -> None:
    """Give the variables of a model the values that training has reached, also within `fit`."""
    model.jax_state_sync()  # during `fit` Keras keeps the state of its step elsewhere
