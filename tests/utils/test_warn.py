"""A warning points at the innermost line that is not of this package."""

import warnings

import keras
import pytest

import keras_priors as kp
from keras_priors.utils import warn as module

CODE = """
def outer():
    return inner()

def inner():
    return call()
"""
PACKAGE = module.__file__.rsplit("/utils/", 1)[0]


@pytest.mark.parametrize(
    ("file", "points_there"),
    [
        ("/home/somebody/script.py", True),
        # A neighbour whose name begins as that of the package is no part of it.
        (f"{PACKAGE}_of_mine.py", True),
        (f"{PACKAGE}_tools/script.py", True),
        (f"{PACKAGE}/inference/method.py", False),
    ],
)
def test_which_files_are_the_package(file, points_there):
    of_the_package = {"warn": module.warn}
    exec(compile("def call(): warn('said')", f"{PACKAGE}/any.py", "exec"), of_the_package)
    names = {"call": of_the_package["call"]}
    exec(compile(CODE, file, "exec"), names)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        names["outer"]()
    assert caught[0].filename == (file if points_there else __file__)


def test_to_variational_points_at_its_caller():
    prior = kp.NormalPrior(0, 1)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, kernel_regularizer=prior)])
    with pytest.warns(UserWarning, match="took NormalPrior") as caught:
        kp.to_variational(model)
    (ours,) = (w for w in caught if "took NormalPrior" in str(w.message))
    assert ours.filename == __file__
