"""What TensorFlow and JAX share: distributions of TensorFlow Probability.

The parameter names are those of TFP; they are the neutral vocabulary of `distribution`.
"""

import inspect
from typing import Any

import keras
import numpy as np

from keras_priors.backend.vocabulary import WHOLE


def build(tfp: Any, kind: str, parameters: dict[str, Any]) -> Any:
    """A TFP distribution by the name of its class, or one of the composites below."""
    tfd = tfp.distributions
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
        operator = tfp.tf2jax.linalg if "substrates.jax" in tfp.__name__ else None
        linalg = operator if operator is not None else _tensorflow_linalg()
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


def _tensorflow_linalg() -> Any:
    import tensorflow as tf

    return tf.linalg


def is_tfp_distribution(tfp: Any, value: Any) -> bool:
    """Whether `value` is an instance of TFP's distribution base class."""
    return isinstance(value, tfp.distributions.Distribution)


def find_class(tfp: Any, name: str) -> type:
    """The distribution class of that name in `tfp.distributions`; nothing else is looked up."""
    found = vars(tfp.distributions).get(name)
    if not (isinstance(found, type) and issubclass(found, tfp.distributions.Distribution)):
        raise ValueError(
            "Only distribution classes of `tensorflow_probability.distributions` can be loaded. "
            f"Received: class name {name!r}. Load the file on PyTorch if its library has the "
            "class; else use a class of this one, or write a `keras_priors.Prior` of your own."
        )
    return found


def described(tfp: Any, value: Any) -> tuple[str, dict[str, Any]]:
    """Class name and parameters, those that are not the default ones."""
    own = type(value)
    name = own.__name__
    if find_class(tfp, name) != own:
        raise ValueError(f"{own} is not {name} of `tensorflow_probability.distributions`")
    if name == "MatrixNormalLinearOperator":
        factors = {key: _factor(getattr(value, key)) for key in ("scale_row", "scale_column")}
        return "MatrixNormal", {"loc": value.parameters["loc"], **factors}
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


def build_described(tfp: Any, name: str, parameters: dict[str, Any], checked: bool) -> Any:
    """The distribution that `described` described."""
    if name == "MatrixNormal":
        return build(tfp, name, parameters)
    return find_class(tfp, name)(**parameters, validate_args=checked)


def bijector(tfp: Any, low: Any, high: Any) -> Any:
    """From the real line to (low, high), where None is no bound."""
    tfb = tfp.bijectors
    if low is not None and high is not None:
        return tfb.Sigmoid(low, high)
    if low is not None:
        return tfb.Chain([tfb.Shift(low), tfb.Exp()])
    return tfb.Chain([tfb.Shift(high), tfb.Scale(-1.0), tfb.Exp()])
