"""TensorFlow and JAX: distributions of TensorFlow Probability.

The parameter names are those of TFP; they are the neutral vocabulary of `distribution`.
"""

import inspect
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_priors.backend.support import Support
from keras_priors.backend.tfp.from_density import from_density
from keras_priors.backend.tfp.library import linear_algebra, probability, refusals
from keras_priors.backend.tfp.support import tfp_support
from keras_priors.backend.vocabulary import WHOLE


def distributions_module() -> Any:
    return probability().distributions


def distribution(kind: str, **parameters: Any) -> Any:
    tfd = probability().distributions
    if kind == "HalfCauchy":
        return tfd.HalfCauchy(loc=parameters.get("loc", 0.0), scale=parameters["scale"])
    if kind == "HalfStudentT":
        return tfd.HalfStudentT(
            df=parameters["df"], loc=parameters.get("loc", 0.0), scale=parameters["scale"]
        )
    if kind == "NormalMixture":
        return tfd.MixtureSameFamily(
            mixture_distribution=tfd.Categorical(logits=parameters["logits"]),
            components_distribution=tfd.Normal(loc=parameters["loc"], scale=parameters["scale"]),
        )
    if kind == "MatrixNormal":
        linalg = linear_algebra()
        return tfd.MatrixNormalLinearOperator(
            loc=parameters["loc"],
            scale_row=linalg.LinearOperatorLowerTriangular(parameters["scale_row"]),
            scale_column=linalg.LinearOperatorLowerTriangular(parameters["scale_column"]),
        )
    if kind == "MultivariateNormalDiagPlusLowRank":
        return tfd.MultivariateNormalDiagPlusLowRankCovariance(**parameters)
    if kind == "Independent":
        return tfd.Independent(
            parameters["distribution"], reinterpreted_batch_ndims=parameters["ndims"]
        )
    return getattr(tfd, kind)(**parameters)


def distribution_from(
    kind: str,
    parameters: dict[str, Any],
    shape: tuple[int, ...],
    log_prob: Callable[[Any], Any],
    draw: Callable[[Any, Any], Any],
) -> Any:
    if kind in vars(probability().distributions):
        return distribution(kind, **parameters)
    return from_density(kind, shape, log_prob, draw)


def is_distribution(value: Any) -> bool:
    return isinstance(value, probability().distributions.Distribution)


def distribution_class(name: str) -> type:
    tfd = probability().distributions
    found = vars(tfd).get(name)
    if not (isinstance(found, type) and issubclass(found, tfd.Distribution)):
        raise ValueError(
            "Only distribution classes of `tensorflow_probability.distributions` can be loaded. "
            f"Received: class name {name!r}. Load the file on PyTorch if its library has the "
            "class; else use a class of this one, or write a `keras_priors.Prior` of your own."
        )
    return found


def described_distribution(value: Any) -> tuple[str, dict[str, Any]]:
    own = type(value)
    name = own.__name__
    if distribution_class(name) != own:
        raise ValueError(f"{own} is not {name} of `tensorflow_probability.distributions`")
    if name == "MatrixNormalLinearOperator":
        factors = {key: _factor(getattr(value, key)) for key in ("scale_row", "scale_column")}
        return "MatrixNormal", {"loc": value.parameters["loc"], **factors}
    # Those that are not the default ones.
    defaults = inspect.signature(own.__init__).parameters
    parameters = {
        key: parameter
        for key, parameter in dict(value.parameters).items()
        if key not in (*_NO_PARAMETERS, "self", "__class__")
        and parameter is not None
        and not (_is_switch(key, parameter) and parameter == defaults[key].default)
    }
    if name == "Independent":  # None is all axes but the first
        rank = len(value.event_shape) - len(value.distribution.event_shape)
        parameters["reinterpreted_batch_ndims"] = rank
    if name.startswith("MultivariateNormal") and "loc" not in parameters:
        parameters["loc"] = np.zeros(tuple(value.event_shape), "float32")
    return name, parameters


def _is_switch(key: str, parameter: Any) -> bool:
    # A real parameter given as an integer is none: torch has no defaults for it.
    return isinstance(parameter, bool) or (isinstance(parameter, int) and key in WHOLE)


_NO_PARAMETERS = ("name", "validate_args", "allow_nan_stats", "dtype")


def _factor(operator: Any) -> Any:
    """The lower triangular factor A with A A^T = S S^T, for an operator S."""
    matrix = keras.ops.convert_to_numpy(operator.to_dense()).astype("float64")
    return np.linalg.cholesky(matrix @ np.swapaxes(matrix, -1, -2))


def build_described(name: str, parameters: dict[str, Any], checked: bool) -> Any:
    try:
        if name == "MatrixNormal":
            return distribution(name, **parameters)
        return distribution_class(name)(**parameters, validate_args=checked)
    except refusals() as error:
        raise ValueError(error.message) from error


def support(value: Any) -> Support | None:
    return tfp_support(value)


def expand(value: Any, batch_shape: tuple[int, ...]) -> Any:
    return probability().distributions.BatchBroadcast(value, with_shape=batch_shape)


def kl_divergence(q: Any, p: Any) -> Any:
    return probability().distributions.kl_divergence(q, p)


def mean(value: Any) -> Any:
    return value.mean()


def variance(value: Any) -> Any:
    return value.variance()


def bijector(low: Any, high: Any) -> tuple[Any, Any, Any]:
    tfb = probability().bijectors
    if low is not None and high is not None:
        both = tfb.Sigmoid(low, high)
    elif low is not None:
        both = tfb.Chain([tfb.Shift(low), tfb.Exp()])
    else:
        both = tfb.Chain([tfb.Shift(high), tfb.Scale(-1.0), tfb.Exp()])
    return both.forward, both.inverse, lambda z: both.forward_log_det_jacobian(z, event_ndims=0)
