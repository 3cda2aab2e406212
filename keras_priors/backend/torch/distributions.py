"""PyTorch: `torch.distributions`, eager calls without gradients, a Python loop over draws."""

from collections.abc import Callable
from typing import Any

import keras
import torch
from torch import distributions as td

from keras_priors.backend.support import Support
from keras_priors.backend.torch import described
from keras_priors.backend.torch import families as own
from keras_priors.backend.torch.families.from_density import FromDensity
from keras_priors.backend.torch.support import torch_support

_RENAMED: dict[str, Callable[..., Any]] = {
    # The names and parameters of TFP, in the words of `torch.distributions`.
    "HalfCauchy": lambda scale, loc=0.0: td.HalfCauchy(scale, validate_args=False),
    "InverseGamma": lambda concentration, scale: td.InverseGamma(
        concentration, scale, validate_args=False
    ),
    "Poisson": lambda log_rate=None, rate=None: td.Poisson(
        torch.exp(log_rate) if rate is None else rate, validate_args=False
    ),
    "MultivariateNormalTriL": lambda loc, scale_tril: td.MultivariateNormal(
        loc, scale_tril=scale_tril, validate_args=False
    ),
    "MultivariateNormalDiagPlusLowRank": (
        lambda loc, cov_diag_factor, cov_perturb_factor: td.LowRankMultivariateNormal(
            loc, cov_perturb_factor, cov_diag_factor, validate_args=False
        )
    ),
    "NormalMixture": lambda logits, loc, scale: td.MixtureSameFamily(
        td.Categorical(logits=logits, validate_args=False),
        td.Normal(loc, scale, validate_args=False),
        validate_args=False,
    ),
    "Independent": lambda distribution, ndims: td.Independent(
        distribution, ndims, validate_args=False
    ),
    "GeneralizedNormal": own.GeneralizedNormal,
    "TruncatedNormal": own.TruncatedNormal,
    "HalfStudentT": own.HalfStudentT,
    "Logistic": own.Logistic,
    "Deterministic": own.Deterministic,
    "MatrixNormal": own.MatrixNormal,
    "NegativeBinomial": lambda total_count, logits: own.NegativeBinomial(
        total_count, logits=logits, validate_args=False
    ),
}


def distribution(kind: str, **parameters: Any) -> Any:
    """A native distribution object; `parameters` in TFP's vocabulary."""
    if kind in _RENAMED:
        return _RENAMED[kind](**parameters)
    # `validate_args` reads values, which `torch.func.vmap` forbids; the priors validate.
    return vars(td)[kind](**parameters, validate_args=False)


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
    if kind in vars(td):
        return distribution(kind, **parameters)
    return FromDensity(kind, shape, log_prob, draw)


def is_distribution(value: Any) -> bool:
    """Whether `value` is a `torch.distributions.Distribution`."""
    return isinstance(value, td.Distribution)


def distribution_class(name: str) -> type:
    """The `torch.distributions` class of that name, and nothing else."""
    found = vars(own).get(name, vars(td).get(name))
    if not (isinstance(found, type) and issubclass(found, td.Distribution)):
        raise ValueError(
            "Only distribution classes of `torch.distributions` can be loaded. "
            f"Received: class name {name!r}. Load the file on TensorFlow or JAX if their library "
            "has the class; else use a class of this one, or write a `keras_priors.Prior` of "
            "your own."
        )
    return found


def described_distribution(value: Any) -> tuple[str, dict[str, Any]]:
    """Class name and parameters of a native distribution, in the words of its library.

    Raises ValueError where it is of no class of the library's own.
    """
    own_type = type(value)
    name = own_type.__name__
    if distribution_class(name) != own_type:
        raise ValueError(f"{own_type} is not {name} of `torch.distributions`")
    if isinstance(value, td.Independent):
        return name, {
            "base_distribution": value.base_dist,
            "reinterpreted_batch_ndims": value.reinterpreted_batch_ndims,
        }
    if isinstance(value, td.MixtureSameFamily):
        return name, {
            "mixture_distribution": value.mixture_distribution,
            "component_distribution": value.component_distribution,
        }
    if name == "TransformedDistribution":
        return name, {"base_distribution": value.base_dist, "transforms": value.transforms}
    names = [*value.arg_constraints, *_NOT_CONSTRAINED.get(name, ())]
    if "scale_tril" in names:
        names = [key for key in names if key not in ("covariance_matrix", "precision_matrix")]
    if "logits" in names:  # reading another one stores it beside
        names.remove("probs" if "logits" in vars(value) else "logits")
    return name, {key: getattr(value, key) for key in names}


# Parameters that are not in `arg_constraints`.
_NOT_CONSTRAINED = {
    "LKJCholesky": ("dim",),
    "RelaxedBernoulli": ("temperature",),
    "RelaxedOneHotCategorical": ("temperature",),
}


def build_described(name: str, parameters: dict[str, Any], checked: bool) -> Any:
    """The native distribution of a description in neutral words, its parameters tensors.

    Raises TypeError or ValueError where the class does not take them; with `checked` it looks at
    their values too.
    """
    # `validate_args` reads values, which `torch.func.vmap` forbids; the priors check the support.
    return described.build(distribution_class, name, parameters, checked)


def support(value: Any) -> Support | None:
    """Where a native distribution has a density; None where it is discrete.

    Raises NotImplementedError where the library does not say.
    """
    return torch_support(value)


def expand(value: Any, batch_shape: tuple[int, ...]) -> Any:
    """The same distribution with a larger batch."""
    return value.expand(batch_shape)


def kl_divergence(q: Any, p: Any) -> Any:
    """KL(q‖p) in closed form; raises NotImplementedError where torch has none for the pair."""
    return td.kl_divergence(q, p)


def mean(value: Any) -> Any:
    """The mean of a native distribution."""
    return value.mean


def variance(value: Any) -> Any:
    """The variance of a native distribution."""
    return value.variance


def sample(value: Any, shape: tuple[int, ...], seed: Any) -> Any:
    """Draw from a native distribution; `seed` is a pair of uint32 words."""
    words = keras.ops.convert_to_numpy(seed).astype("uint64")
    # torch.distributions take no generator: seed the global one, and put it back afterwards.
    with torch.random.fork_rng():
        torch.manual_seed(int(words[0]) << 31 ^ int(words[1]))
        return value.sample(shape)


def compile_function(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function itself, run without recording gradients: PyTorch runs eagerly."""

    def without_gradients(*args: Any) -> Any:
        with torch.no_grad():
            return function(*args)

    return without_gradients


def map_draws(function: Callable[[Any], Any], elements: Any) -> Any:
    """Stack `function(element)` over the leading axis of `elements`, one at a time."""
    count = len(keras.tree.flatten(elements)[0])
    parts = [
        function(keras.tree.map_structure(lambda leaf, k=k: leaf[k], elements))
        for k in range(count)
    ]
    return keras.tree.map_structure(lambda *leaves: torch.stack(leaves), *parts)


def bijector(low: Any, high: Any) -> tuple[Any, Any, Any]:
    """Maps of the real line to (low, high) and back; one of the two may be None, no bound.

    Returns:
        Three functions of a tensor: forward, inverse, and log|d forward / dz| of each element.
    """
    if low is not None and high is not None:
        parts = [td.SigmoidTransform(), td.AffineTransform(low, high - low)]
    elif low is not None:
        parts = [td.ExpTransform(), td.AffineTransform(low, 1.0)]
    else:
        parts = [td.ExpTransform(), td.AffineTransform(high, -1.0)]
    both = td.ComposeTransform(parts)
    return both, both.inv, lambda z: both.log_abs_det_jacobian(z, both(z))


def is_traced() -> bool:
    """Whether `compile_function` traces its function, which then runs without Python."""
    return False


def sync_variables(model: Any) -> None:
    """Give the variables of a model the values that training has reached, also within `fit`."""
