"""Files of earlier versions load on every backend, and say what they said when written."""

import pathlib

import keras
import numpy as np
import pytest

import keras_priors as kp
from tests.saved.write import IMAGES, X

# Keras reads the files of earlier versions of itself, and not of later ones.
pytestmark = pytest.mark.skipif(
    tuple(map(int, keras.__version__.split(".")[:2])) < (3, 15),
    reason="the files were written by Keras 3.15",
)
FOLDERS = sorted(path for path in pathlib.Path(__file__).parent.iterdir() if path.is_dir())
FOLDERS = [folder for folder in FOLDERS if (folder / "expected.npz").exists()]


def cases(suffix):
    return [
        pytest.param(path, id=f"{folder.name}-{path.stem}")
        for folder in FOLDERS
        for path in sorted(folder.glob(f"*.{suffix}"))
    ]


def expected(path):
    with np.load(path.parent / "expected.npz") as arrays:
        lead = f"{path.stem}/"
        return {k.removeprefix(lead): v for k, v in arrays.items() if k.startswith(lead)}


@pytest.mark.parametrize("path", cases("keras"))
def test_a_model_of_an_earlier_version(path):
    model, wanted = keras.saving.load_model(path), expected(path)
    x = {"plain": X, "priors": X[:, :2], "variational": IMAGES}[path.stem]
    outputs = keras.ops.convert_to_numpy(model(x, training=False))
    np.testing.assert_allclose(outputs, wanted["outputs"], rtol=1e-4, atol=1e-5)
    layers = [layer for layer in model.layers if isinstance(layer, kp.layers.VariationalLayer)]
    holders = layers or [prior for prior in kp.get_priors(model).values() if prior is not None]
    assert {holder.num_data for holder in holders} == {8}
    if "penalty" in wanted:
        penalty = keras.ops.convert_to_numpy(sum(model.losses))
        np.testing.assert_allclose(penalty, wanted["penalty"], rtol=1e-4)


@pytest.mark.parametrize("path", cases("posterior"))
def test_a_posterior_of_an_earlier_version(path):
    posterior, wanted = kp.inference.Posterior.load(path), expected(path)
    for name, found in (("mean", posterior.mean()), ("stddev", posterior.stddev())):
        assert set(found) == {k.removeprefix(f"{name}/") for k in wanted if k.startswith(name)}
        for key, value in found.items():
            np.testing.assert_allclose(value, wanted[f"{name}/{key}"], rtol=1e-4, atol=1e-6)
    assert posterior.seconds > 0
    assert isinstance(posterior.likelihood, kp.likelihoods.Normal)
    assert posterior.predict(X, num_samples=1, seed=0, verbose=0).draws.shape == (1, 8, 1)


def test_there_are_such_files():
    assert FOLDERS[0].name == "0.1"
    assert len(cases("keras")) >= 3 and len(cases("posterior")) >= 13
