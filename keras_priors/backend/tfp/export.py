"""TensorFlow and JAX: Keras' own export."""

import warnings
from typing import Any


def export_model(model: Any, path: str, target: str, signature: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries that trace and convert
        model.export(path, format=target, verbose=False, input_signature=[signature])
