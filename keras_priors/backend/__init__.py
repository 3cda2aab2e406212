# Long: the whole interface of the backends, so that it is declared and read in one place.
"""The only folder that knows TensorFlow, JAX, PyTorch and TensorFlow Probability.

What the package asks of a backend is declared here, once. It is the one Keras was started with; the
others are never imported. `tests/backend/test_interface.py` compares the three.
"""

import contextlib
import functools
import importlib
import importlib.util
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, TypeVar

import keras

from keras_priors.backend.support import Support as Support
from keras_priors.backend.vocabulary import in_neutral_words as in_neutral_words

# Where a section of a backend lies: in a module of its name in the first of these that has the
# function. What TensorFlow and JAX share is in tfp/.
_FOLDERS = {
    "tensorflow": ("tensorflow", "tfp"),
    "jax": ("jax", "tfp"),
    "torch": ("torch",),
}

if keras.config.backend() not in _FOLDERS:
    raise NotImplementedError(
        "keras_priors needs the TensorFlow, JAX or PyTorch backend of Keras. "
        f"Received: keras.config.backend()={keras.config.backend()!r}. "
        'Set KERAS_BACKEND to "tensorflow", "jax" or "torch" before Keras is imported.'
    )

_Declared = TypeVar("_Declared", bound=Callable[..., Any])


def _provided(section: str) -> Callable[[_Declared], _Declared]:
    """Put the backend's own function of that name and `section` in place of a declaration.

    It is that function itself: a call costs nothing more. It gets the declared docstring.
    """

    def replace(declaration: _Declared) -> _Declared:
        name = declaration.__name__
        found = next(vars(module)[name] for module in _modules(section) if name in vars(module))
        # What a library has compiled may refuse one.
        with contextlib.suppress(AttributeError):
            found.__doc__ = declaration.__doc__
        return found  # type: ignore[no-any-return]

    return replace


@functools.cache
def _modules(section: str) -> list[ModuleType]:
    names = [f"{__name__}.{folder}.{section}" for folder in _FOLDERS[keras.config.backend()]]
    return [importlib.import_module(name) for name in names if importlib.util.find_spec(name)]


# --- calculus: of pure functions of tensors


@_provided("calculus")
def value_and_gradient(function: Callable[..., Any]) -> Callable[..., Any]:
    """From f(x, *others), a scalar, to (f, df/dx); x may be a structure of tensors."""


@_provided("calculus")
def jacobian(function: Callable[..., Any]) -> Callable[..., Any]:
    """From f(x, *others), a vector (K,), to df/dx (K, D) for x (D,)."""


@_provided("calculus")
def hessian(function: Callable[..., Any]) -> Callable[..., Any]:
    """From f(x, *others), a scalar, to d2f/dx2 (D, D) for x (D,)."""


@_provided("calculus")
def jacobian_vector_product(function: Callable[..., Any]) -> Callable[..., Any]:
    """From f(x, *others) to df/dx v, a function of (x, v, *others)."""


@_provided("calculus")
def vectorize(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` over the leading axis of its first argument; the others are shared."""


@_provided("calculus")
def sum_over(function: Callable[[Any], Any], elements: Any) -> Any:
    """The sum of `function(element)` over the leading axis of `elements`, one at a time.

    Within `compile_over_chains` it is over the rows of all devices that share them.
    """


@_provided("calculus")
def minimize(
    value_and_gradient: Callable[[Any], Any], start: Any, iterations: int, tolerance: float
) -> tuple[Any, Any, Any]:
    """L-BFGS: (position, value, converged) from a pure function to (value, gradient)."""


# --- compilation


@_provided("compilation")
def compile_function(function: Callable[..., Any]) -> Callable[..., Any]:
    """A pure function of tensors, compiled once for each structure and shape of its arguments.

    On PyTorch, which runs eagerly, the function itself, run without recording gradients.
    """


@_provided("recording")
def recorded(function: Callable[..., Any]) -> Callable[..., Any]:
    """A pure function of structures of tensors that is called often, within a compiled one.

    On PyTorch, where each call else runs the Python of all layers, its operations are recorded for
    each form of its arguments and replayed; what they do not determine (a function that draws or
    looks at a value) is called. Elsewhere the function itself.
    """


@_provided("compilation")
def is_traced() -> bool:
    """Whether `compile_function` traces its function, which then runs without Python."""


@_provided("compilation")
def untraced() -> contextlib.AbstractContextManager[Any]:
    """Within it tensors are made at once, also while a function is traced: constants of it."""


@_provided("compilation")
def sync_variables(model: Any) -> None:
    """Give the variables of a model the values that training has reached, also within `fit`."""


# --- devices: rows of predictions over those of Keras' distribution


@_provided("devices")
def batch_devices() -> int:
    """Over how many devices `place_batch` lays rows; 1 where one has all."""


@_provided("devices")
def place_batch(rows: Any) -> Any:
    """A structure of arrays (n, ...) as tensors that lie as Keras lays a batch for `fit`.

    Where several devices share it, n is a multiple of `batch_devices()`. Where devices of other
    processes have a part in the distribution, this one has all rows: its results are its own.
    """


# --- devices: chains over those of Keras' distribution; each runs a program of its own
#
# Where an array lies is a word with a letter for each of its axes: "c" is cut over devices by
# chains, "r" by rows, "." is whole, as are those after the last letter.


@_provided("devices")
def chain_layout(num_chains: int, most_rows: int) -> Any:
    """Which of the devices have which chains; None where one has all.

    Each has as many, and as few devices are taken as have no more chains each than all would. A
    device whose number does not come out has copies of the last chain.

    Args:
        num_chains: integer.
        most_rows: integer, the most devices over which the rows of a chain may be cut, where chains
            leave some over. 1 and less for none.
    """


@_provided("devices")
def row_devices(layout: Any) -> int:
    """Over how many devices the rows of each chain are cut."""


@_provided("devices")
def place(value: Any, axes: Any, layout: Any) -> Any:
    """A structure of tensors on the devices; one word of `axes` may stand for all leaves below."""


@_provided("devices")
def compile_over_chains(
    function: Callable[..., Any], arguments: tuple[Any, ...], results: Any, layout: Any
) -> Callable[..., Any]:
    """As `compile_function`, run by each device on its chains.

    Args:
        function: pure function of tensors, for any number of chains.
        arguments: where they lie, a tuple of structures of words.
        results: the same of what it gives.
        layout: of `chain_layout`.
    """


@_provided("devices")
def chain_normals(shape: tuple[int, ...], seed: Any) -> Any:
    """`standard_normal` of all chains, (chains, D), of which here is what this device has."""


# --- distributions: native ones, of TFP or of `torch.distributions`


@_provided("distributions")
def distributions_module() -> Any:
    """The module of the library that has its distributions."""


@_provided("distributions")
def distribution(kind: str, **parameters: Any) -> Any:
    """A native distribution object; `parameters` in TFP's vocabulary."""


@_provided("distributions")
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


@_provided("distributions")
def is_distribution(value: Any) -> bool:
    """Whether `value` is a distribution of the backend's library."""


@_provided("distributions")
def distribution_class(name: str) -> type:
    """The library's distribution class of that name, and nothing else.

    Raises ValueError where it has none.
    """


@_provided("distributions")
def described_distribution(value: Any) -> tuple[str, dict[str, Any]]:
    """Class name and parameters of a native distribution, in the words of its library.

    Raises ValueError where it is of no class of the library's own.
    """


@_provided("distributions")
def build_described(name: str, parameters: dict[str, Any], checked: bool) -> Any:
    """The native distribution of a description in neutral words, its parameters tensors.

    Raises TypeError or ValueError where the class does not take them; with `checked` it looks at
    their values too.
    """


@_provided("distributions")
def support(value: Any) -> Support | None:
    """Where a native distribution has a density; None where it is discrete.

    Raises NotImplementedError where the library does not say.
    """


@_provided("distributions")
def expand(value: Any, batch_shape: tuple[int, ...]) -> Any:
    """The same distribution with a larger batch."""


@_provided("distributions")
def kl_divergence(q: Any, p: Any) -> Any:
    """KL(q‖p) in closed form; raises NotImplementedError where the library has none."""


@_provided("distributions")
def mean(value: Any) -> Any:
    """The mean of a native distribution."""


@_provided("distributions")
def variance(value: Any) -> Any:
    """The variance of a native distribution."""


@_provided("distributions")
def sample(value: Any, shape: tuple[int, ...], seed: Any) -> Any:
    """Draw from a native distribution; `seed` is a pair of uint32 words."""


@_provided("distributions")
def bijector(low: Any, high: Any) -> tuple[Any, Any, Any]:
    """Maps of the real line to (low, high) and back; one of the two may be None, no bound.

    Returns:
        Three functions of a tensor: forward, inverse, and log|d forward / dz| of each element.
    """


# --- elementwise: what the estimators of layers do to every output


@_provided("elementwise")
def square(x: Any) -> Any:
    """x^2, elementwise."""


@_provided("elementwise")
def add_noise(y: Any, variance: Any, noise: Any) -> Any:
    """y + sqrt(variance) * noise, in the dtype of y."""


@_provided("elementwise")
def ivon_step(
    state: tuple[Any, Any, Any, Any],
    gradient: Any,
    noise: Any,
    step: Any,
    still: Any,
    rate: Any,
    settings: tuple[float, ...],
) -> tuple[Any, Any, Any, Any]:
    """One step of IVON of one weight, as `keras_priors.inference.IVONOptimizer` has it.

    Args:
        state: (w, m, H, v), tensors of one shape and dtype, as is all else.
        gradient: g.
        noise: standard normals, for the next w.
        step: integer scalar of `host_step`, t - 1.
        still: the same of the step at which weights are means; there w is taken for m, and H stays.
        rate: scalar, the learning rate times H_0.
        settings: (beta_1, beta_2, N / T, weight decay, the least H by which m is moved).
    """


# --- export: files of a model for other runtimes


@_provided("export")
def export_formats() -> tuple[str, ...]:
    """The formats that `export_model` writes, by Keras' names of them."""


@_provided("export")
def export_model(model: Any, path: str, target: str, signature: Any) -> None:
    """Write a built model whose outputs are a flat dict, any batch size, to a file or folder.

    Args:
        model: `keras.Model`.
        path: str, where nothing is yet.
        target: str, one of `export_formats`.
        signature: structure of `keras.InputSpec`, the one argument of the model.
    """


@_provided("export")
def map_for_export(function: Callable[[Any], Any], elements: Any, target: str) -> Any:
    """Stack `function(element)` over the leading axis of `elements` in a graph for a format.

    At once where the backend can vectorize the function and the format has what comes of it; else
    one at a time.
    """


@_provided("export")
def repeat_for_export(count: int, function: Callable[[Any, Any], Any], state: Any) -> Any:
    """`state = function(k, state)` for k below `count`; the last state.

    A loop in the graph where the format has one, so that a file does not grow with `count`. Without
    gradients. The state is a tuple of tensors, whose shapes stay. The function makes no tensor of a
    number, as `ops.where(x, y, 0.0)` does: the graph of a loop has no place for constants on
    PyTorch.
    """


# --- loops: one element at a time, compiled where the backend compiles


@_provided("loops")
def map_draws(function: Callable[[Any], Any], elements: Any) -> Any:
    """Stack `function(element)` over the leading axis of `elements`, one at a time."""


@_provided("loops")
def fold(function: Callable[[Any, Any], Any], state: Any, elements: Any) -> Any:
    """`state = function(state, element)` over the leading axis of `elements`; the last state."""


@_provided("loops")
def scan(
    function: Callable[[Any, Any], Any], output: Callable[[Any], Any], state: Any, elements: Any
) -> tuple[Any, Any]:
    """As `fold`, and `output(state)`, one tensor, after each element, stacked."""


# --- mcmc: Hamiltonian Monte Carlo of several chains in one compiled program


@_provided("mcmc")
def check_mcmc(name: str) -> None:
    """Raises NotImplementedError where there are no kernels."""


@_provided("mcmc")
def hamiltonian(
    log_prob_and_gradient: Callable[[Any, Any], tuple[Any, Any]],
    capacity: int,
    steps: int,
    target_accept: float,
    nuts: bool,
    layout: Any,
) -> Callable[..., Any]:
    """A compiled f(state, count, adapt, scale, data) to (state, draws of z, statistics).

    Chains move in q, with z = F q. `scale` is a tuple: (s,) where F is diag(s), or a matrix (D, D),
    and (s, U, c) where it is diag(s) (I + U diag(c) U^T). Statistics have the gradients by q at the
    draws too, as "slope".

    Args:
        log_prob_and_gradient: function of z (D,) and data.
        capacity: integer, the most transitions of a call: the leading axis of what it records, of
            which the first `count` are filled.
        steps: integer, largest depth of a tree of NUTS, or most leapfrog steps of HMC.
        target_accept: float, the acceptance at which the step size aims while `adapt` is True.
        nuts: bool, NUTS or HMC.
        layout: of `chain_layout`. Data are a tuple (fixed, blocks) with rows along axis 1 of
            `blocks`, which devices may share.
    """


# --- mean_field: the hot path of a mean-field normal N(loc, softplus(rho)^2)


@_provided("mean_field")
def mean_field_scale(rho: Any) -> Any:
    """softplus(rho)."""


@_provided("mean_field")
def mean_field_perturbation(rho: Any, noise: Any) -> Any:
    """softplus(rho) * noise."""


@_provided("mean_field")
def mean_field_transform(loc: Any, rho: Any, noise: Any) -> Any:
    """loc + softplus(rho) * noise."""


@_provided("mean_field")
def mean_field_variance(rho: Any) -> Any:
    """softplus(rho)^2."""


@_provided("mean_field")
def mean_field_kl(loc: Any, rho: Any, prior_loc: Any, prior_scale: Any) -> Any:
    """Sum of KL(N(loc, softplus(rho)^2) ‖ N(prior_loc, prior_scale^2)) in nats."""


# --- noise: a function of its seed alone


@_provided("noise")
def standard_normal(shape: tuple[Any, ...], seed: Any, dtype: str = "float32") -> Any:
    """Independent draws of N(0, 1).

    Args:
        shape: tuple of int, the shape of the result; on TensorFlow also scalar integer tensors.
        seed: integer tensor of shape (2,), as `keras.random.SeedGenerator.next()` gives it;
            taken modulo 2^32.
        dtype: str, a float dtype.
    """


@_provided("noise")
def standard_normals(
    shapes: Sequence[tuple[int, ...]], seed: Any, dtype: str = "float32"
) -> list[Any]:
    """Independent draws of N(0, 1) of several shapes from one seed: the weights of a layer."""


@_provided("noise")
def random_signs(shape: tuple[Any, ...], seed: Any, dtype: str = "float32") -> Any:
    """Independent +1 and -1 with equal probability.

    Args:
        shape: tuple of int, the shape of the result; on TensorFlow also scalar integer tensors.
        seed: integer tensor of shape (2,), as `keras.random.SeedGenerator.next()` gives it;
            taken modulo 2^32.
        dtype: str, a float dtype.
    """


# --- optimizers: those of Keras, within a compiled program


@_provided("optimizers")
def stateless(optimizer: Any) -> Any:
    """A Keras optimizer of these settings whose `stateless_apply` is a pure function everywhere.

    That is f(optimizer variables, gradients, values) to (values, optimizer variables).
    """


# --- seeds: pairs of words


@_provided("seeds")
def next_seed(generator: keras.random.SeedGenerator) -> Any:
    """What `generator.next()` gives, and its state goes on.

    On PyTorch it lies on the CPU, and is there without waiting for an accelerator: the words of the
    state are read when it is first asked for, and after somebody else has written to it. (What
    PyTorch does not count as writing, to `state.value.data` or by a bare
    `torch.distributed.broadcast`, has to come before the first draw.)
    """


@_provided("seeds")
def as_seed(seed: Any = None) -> Any:
    """Return an integer tensor of shape (2,) for an integer, a `SeedGenerator`, a tensor or None.

    None takes a new one from Python's generator, as Keras does, so that
    `keras.utils.set_random_seed` makes it repeat. An integer gives the same seed on every backend.
    On PyTorch seeds lie on the CPU: its generators are keyed by what the host knows.
    """


@_provided("seeds")
def fold_in(seed: Any, stream: int) -> Any:
    """The seed of the `stream`-th independent stream beside `seed`; stream 0 is `seed` itself.

    A `SeedGenerator` counts steps in its second word, and users give small numbers as the first:
    the golden-ratio stride keeps streams clear of both. Not for nesting: streams a of b and b of a
    are the same.
    """


@_provided("seeds")
def host_step(iterations: Any) -> Any:
    """The value of an integer variable that counts steps: a scalar tensor, on PyTorch of the CPU.

    There an accelerator is asked when it is first wanted, and after somebody else has written to
    it; `step_taken` says of each step that it was counted. A tensor (of an optimizer that
    accumulates gradients, found anew each time) is fetched.
    """


@_provided("seeds")
def step_taken(iterations: Any) -> None:
    """The variable of `host_step` was written to once since: it was counted up by 1."""


@_provided("seeds")
def seed_of_step(seed: Any, step: Any) -> Any:
    """The seed with the number of a step, of `host_step`, added to its second word."""


@_provided("seeds")
def spawn_seeds(seed: Any, count: int) -> Any:
    """NumPy array (count, 2) of uint32: unrelated seeds, of which the first do not depend on count.

    Args:
        seed: what `as_seed` takes.
        count: integer, how many.
    """


# What is declared above, and what of the modules common to all is imported at the top.
__all__ = sorted(
    name
    for name, value in globals().items()
    if not name.startswith("_") and getattr(value, "__module__", "").startswith(__name__)
)
