"""A native distribution as a class name and numbers, and back."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors import backend

_OWNER = "DistributionPrior"
_CLOSED = ("Exponential", "HalfCauchy", "HalfNormal", "HalfStudentT", "TruncatedNormal", "Uniform")
_POSITIVE = (
    "Chi",
    "Chi2",
    "Exponential",
    "Gamma",
    "HalfCauchy",
    "HalfNormal",
    "HalfStudentT",
    "InverseGamma",
    "InverseGaussian",
    "LogLogistic",
    "LogNormal",
    "Weibull",
)
_DISCRETE = (
    "Bernoulli",
    "BetaBinomial",
    "Binomial",
    "Categorical",
    "Deterministic",
    "DirichletMultinomial",
    "Empirical",
    "FiniteDiscrete",
    "Geometric",
    "Multinomial",
    "NegativeBinomial",
    "OneHotCategorical",
    "OrderedLogistic",
    "PlackettLuce",
    "Poisson",
    "Skellam",
    "VectorDeterministic",
    "ZeroInflatedNegativeBinomial",
    "Zipf",
)
_UNIT_INTERVAL = ("Beta", "Kumaraswamy", "LogitNormal")


def describe(distribution: Any) -> dict[str, Any]:
    """The class name and the parameters of a native distribution, JSON-serializable.

    Raises:
        TypeError: it is no distribution of the library.
        ValueError: it is one of another origin, or not made of numbers and distributions alone.
    """
    if not backend.is_distribution(distribution):
        raise TypeError(
            f"{_OWNER} takes a distribution object of this backend's library: "
            "`tensorflow_probability.distributions` on TensorFlow (its JAX substrate on JAX), "
            f"`torch.distributions` on PyTorch. Received: {distribution!r} "
            f"of type {type(distribution).__name__}."
        )
    name = type(distribution).__name__
    if backend.distribution_class(name) is not type(distribution):
        raise ValueError(
            f"{_OWNER} takes classes of the distribution library itself, which a saved file can "
            f"name. Received: {type(distribution)}, which only shares the name {name!r} with "
            "one. Write a `keras_priors.Prior` of your own for it."
        )
    parameters = backend.distribution_parameters(distribution)
    described = {key: _plain(name, key, value) for key, value in parameters.items()}
    return {
        "distribution": name,
        "parameters": {key: value for key, value in described.items() if value is not None},
    }


def _plain(owner: str, key: str, value: Any) -> Any:
    if value is None or key == "dtype":  # the dtype follows the parameters
        return None
    if isinstance(value, (bool, int, float)):
        return value
    if backend.is_distribution(value):
        return describe(value)
    if ops.is_tensor(value) or isinstance(value, (np.ndarray, np.generic, list, tuple)):
        array = ops.convert_to_numpy(value)
        if array.dtype.kind in "biuf":
            return array.tolist()
    raise ValueError(
        f"{_OWNER} takes distributions whose parameters are numbers, arrays and distributions, "
        f"so that a saved file can hold them. Received: {owner} with {key} of type "
        f"{type(value).__name__}. Write a `keras_priors.Prior` of your own for it."
    )


def rebuild(description: dict[str, Any], dtype: str) -> Any:
    """The native distribution that `describe` described, its parameters in `dtype`.

    Raises:
        ValueError: the class is none of the library's, or does not take these parameters.
    """
    name = description["distribution"]
    cls = backend.distribution_class(name)
    arguments = {key: _native(value, dtype) for key, value in description["parameters"].items()}
    if keras.config.backend() == "torch":
        # Checks read values, which `torch.func.vmap` forbids; the priors check the support.
        arguments["validate_args"] = False
    try:
        return cls(**arguments)
    except TypeError as error:
        raise ValueError(
            f"{_OWNER} cannot construct {name} on the {keras.config.backend()} backend from "
            f"parameters {sorted(description['parameters'])}: {error}. A distribution that is "
            "saved on one backend loads on another only where its class has the same name and "
            "parameters there."
        ) from error


def _native(value: Any, dtype: str) -> Any:
    if isinstance(value, dict):
        return rebuild(value, dtype)
    if isinstance(value, (bool, int)):
        return value
    array = np.asarray(value)
    return ops.convert_to_tensor(array, dtype=dtype if array.dtype.kind == "f" else "int32")


def is_discrete(description: dict[str, Any]) -> bool:
    """Whether it is a distribution over integers or points; TFP's Poisson has a float dtype."""
    if description["distribution"] in _DISCRETE:
        return True
    # The categorical of a mixture chooses a component, and is no part of the value.
    return any(
        is_discrete(value)
        for key, value in description["parameters"].items()
        if isinstance(value, dict) and key not in ("mixture_distribution", "cat")
    )


def support_of(description: dict[str, Any]) -> tuple[Any, Any, bool]:
    """Lower bound, upper bound, and whether the bounds themselves are outside."""
    name, parameters = description["distribution"], description["parameters"]
    inner = parameters.get("distribution", parameters.get("base_distribution"))
    if name in ("Independent", "BatchBroadcast", "Sample") and inner is not None:
        return support_of(inner)
    is_open = name not in _CLOSED
    if name in ("Uniform", "TruncatedNormal"):
        return _bound(parameters["low"]), _bound(parameters["high"]), is_open
    if name == "Pareto":
        return _bound(parameters["scale"]), np.inf, False
    if name in _POSITIVE:
        return (
            _bound(parameters.get("loc", 0.0) if name.startswith("Half") else 0.0),
            np.inf,
            is_open,
        )
    if name in _UNIT_INTERVAL:
        return 0.0, 1.0, is_open
    return -np.inf, np.inf, is_open


def _bound(value: Any) -> Any:
    return np.asarray(value, "float64") if isinstance(value, list) else float(value)
