"""A warning of `fit` points at the line that called it, not into the package or past the script."""

import warnings

import keras
import numpy as np
import pytest

import keras_priors as kp
from tests.inference.test_failures import LIKELIHOOD, METHODS, ON_TWO, model_for

ROWS = 40
# Too short a run, or too far from a mode, to be silent.
HASTY = {
    **METHODS,
    "MAP": kp.inference.MAP(max_iterations=1),
    "Laplace": kp.inference.Laplace("full", max_iterations=0),
    "RandomizedMAP": kp.inference.RandomizedMAP(num_members=2, max_iterations=1),
    "MeanField": kp.inference.MeanField(300, learning_rate=1e-3),
    "FullRank": kp.inference.FullRank(300, learning_rate=1e-3),
}
SILENT = {"SWAG", "DeepEnsemble", "MCDropout", "LowRank", "VariationalLayers"}


@pytest.mark.parametrize("name", [name for name in HASTY if name not in SILENT])
def test_it_points_at_the_caller(name):
    if name in ON_TWO and keras.backend.backend() == "torch":
        pytest.skip("tested to be refused")
    rng = np.random.default_rng(0)
    x = rng.standard_normal((ROWS, 3)).astype("float32")
    y = 30.0 * x[:, :1] + rng.standard_normal((ROWS, 1)).astype("float32")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        HASTY[name].fit(model_for(name), x, y, LIKELIHOOD, seed=0, verbose=0)
    files = [w.filename for w in caught if issubclass(w.category, UserWarning)]
    assert files
    assert set(files) == {__file__}, [str(w.message)[:80] for w in caught]
