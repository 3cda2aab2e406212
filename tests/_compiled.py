"""A mark for tests of `jit_compile=True`, which on PyTorch is `torch.compile`."""

import shutil

import keras
import pytest


def compiled(test):
    """Slow on PyTorch, and skipped there on a machine without the C++ compiler that it calls."""
    if keras.backend.backend() != "torch":
        return test
    # PyTorch's own modules warn of each other, and its tracer of what it reads itself.
    quiet = pytest.mark.filterwarnings(
        "ignore::DeprecationWarning",
        "ignore::FutureWarning",
        "ignore:The .grad attribute of a Tensor:UserWarning",
        "ignore:Dynamo detected a call to a `functools.lru_cache`:UserWarning",
    )
    missing = shutil.which("c++") is None and shutil.which("g++") is None
    needs = pytest.mark.skipif(missing, reason="torch.compile needs a C++ compiler")
    return pytest.mark.slow(quiet(needs(test)))
