"""PyTorch: chains run on one device."""

from collections.abc import Callable
from typing import Any

import keras

from keras_priors.backend.torch.compilation import compile_function
from keras_priors.backend.torch.noise import standard_normal


def batch_devices() -> int:
    return 1


def place_batch(rows: Any) -> Any:
    return keras.tree.map_structure(keras.ops.convert_to_tensor, rows)


def chain_layout(num_chains: int, most_rows: int) -> Any:
    return None


def row_devices(layout: Any) -> int:
    return 1


def place(value: Any, axes: Any, layout: Any) -> Any:
    return value


def compile_over_chains(
    function: Callable[..., Any], arguments: tuple[Any, ...], results: Any, layout: Any
) -> Callable[..., Any]:
    return compile_function(function)


def chain_normals(shape: tuple[int, ...], seed: Any) -> Any:
    return standard_normal(shape, seed)
