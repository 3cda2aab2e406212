"""A native distribution as a class name and numbers, and back."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_priors import backend
from keras_priors.utils.parameters import tensor

_OWNER = "DistributionPrior"


def describe(distribution: Any) -> dict[str, Any]:
    """The class name and the parameters of a native distribution, JSON-serializable.

    In the words of TFP also on PyTorch, so that either library can read it.

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
    return backend.in_neutral_words(_described(distribution))


def _described(distribution: Any) -> dict[str, Any]:
    try:
        name, parameters = backend.described_distribution(distribution)
    except ValueError as error:
        raise ValueError(
            f"{_OWNER} takes classes of the distribution library itself, which a saved file can "
            f"name. Received: {type(distribution)}: {error}. Write a `keras_priors.Prior` of your "
            "own for it."
        ) from error
    return {
        "distribution": name,
        "parameters": {key: _plain(name, key, value) for key, value in parameters.items()},
    }


def _plain(owner: str, key: str, value: Any) -> Any:
    if isinstance(value, (bool, int, float)) and value == value:
        return value
    if backend.is_distribution(value):
        return _described(value)
    if isinstance(value, (list, tuple)) and any(backend.is_distribution(part) for part in value):
        return [_plain(owner, key, part) for part in value]
    if ops.is_tensor(value) or isinstance(value, (np.ndarray, np.generic, list, tuple)):
        try:
            array = ops.convert_to_numpy(value)
        except (TypeError, ValueError):
            array = np.asarray(None)
        if array.dtype.kind in "biuf" and not np.isnan(array).any():
            return array.tolist()
    raise ValueError(
        f"{_OWNER} takes distributions whose parameters are numbers, arrays and distributions, "
        f"so that a saved file can hold them. Received: {owner} with {key}={value!r} of type "
        f"{type(value).__name__}. Write a `keras_priors.Prior` of your own for it."
    )


def rebuild(description: dict[str, Any], dtype: str, *, checked: bool = False) -> Any:
    """The native distribution that `describe` described, its parameters in `dtype`.

    Args:
        description: what `describe` gave.
        dtype: the dtype of its real parameters.
        checked: bool, whether the library looks at the values of the parameters. Defaults to
            False.

    Raises:
        ValueError: the class is none of the library's, or does not take these parameters.
    """
    name, parameters = description["distribution"], description["parameters"]
    try:
        arguments = {key: _native(value, dtype, checked) for key, value in parameters.items()}
        # TFP's checks refuse a truncation at infinity, which its densities take.
        return backend.build_described(name, arguments, checked and not _has_infinity(parameters))
    except TypeError as error:
        raise ValueError(
            f"{_OWNER} cannot construct {name} on the {keras.config.backend()} backend from "
            f"parameters {sorted(parameters)}: {error}. A distribution that is saved on one "
            "backend loads on another only where both libraries have its class."
        ) from error


def _has_infinity(parameters: dict[str, Any]) -> bool:
    numbers = [value for value in parameters.values() if isinstance(value, (int, float, list))]
    arrays = [np.asarray(value) for value in numbers if not _has_parts(value)]
    return any(bool(np.isinf(array).any()) for array in arrays)


def _has_parts(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(part, dict) for part in value)


def _native(value: Any, dtype: str, checked: bool) -> Any:
    if isinstance(value, dict):
        return rebuild(value, dtype, checked=checked)
    if _has_parts(value):
        return [_native(part, dtype, checked) for part in value]
    if isinstance(value, (bool, int)):
        return value
    array = np.asarray(value)
    if array.dtype.kind in "iu":  # a shape
        return array.tolist()
    return ops.convert_to_tensor(array) if array.dtype.kind == "b" else tensor(array, dtype)
