"""Draws that are written to a file as they come."""

import shutil
import tracemalloc
from collections import namedtuple

import keras
import numpy as np
import pytest

import keras_priors as kp

X = np.random.default_rng(0).normal(size=(50, 3)).astype("float32")
LIKELIHOOD = kp.likelihoods.Normal(0.5)


@pytest.fixture(scope="module")
def model():
    return keras.Sequential([keras.Input((3,)), kp.VariationalDense(2, name="out")])


def batches(sizes=(7, 20, 1, 22)):
    ends = np.cumsum(sizes)
    return (X[end - size : end] for size, end in zip(sizes, ends, strict=True))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("batch_size", [8, 64])
def test_the_file_has_the_draws_that_memory_has(model, tmp_path, stream, batch_size):
    path = tmp_path / "draws.npy"
    path.write_bytes(b"an older file")
    given = {"num_samples": 5, "batch_size": batch_size, "seed": 0, "likelihood": LIKELIHOOD}
    expected = kp.predict(model, X, **given)
    found = kp.predict(model, batches() if stream else X, **given, out=path)
    assert found.draws.dtype == "float32" and not found.draws.flags.owndata
    np.testing.assert_allclose(found.draws, expected.draws, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(np.load(path), found.draws)
    np.testing.assert_allclose(found.std, expected.std, rtol=1e-5)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.filterwarnings("ignore:Draws of the weights of a Laplace")
def test_those_of_posteriors(tmp_path):
    line = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dropout(0.5), keras.layers.Dense(1, name="line")]
    )
    kp.set_priors(line, kp.NormalPrior(0, 1))
    laplace = kp.inference.Laplace("diagonal")
    for method, how in ((kp.inference.MCDropout(), {}), (laplace, {"method": "mc"})):
        posterior = method.fit(line, X, X[:, :1], LIKELIHOOD, seed=0, verbose=0)
        expected = posterior.predict(X, 4, seed=1, **how).draws
        found = posterior.predict(X, 4, seed=1, **how, out=tmp_path / "a.npy").draws
        np.testing.assert_allclose(np.load(tmp_path / "a.npy"), expected, rtol=1e-6)
        assert not found.flags.owndata
    with pytest.raises(ValueError, match=r"Received: out='a\.npy' and method='glm'"):
        posterior.predict(X, out="a.npy")


def test_memory_does_not_grow_with_the_rows(model, tmp_path):
    """NumPy's share of it: 32 MB of draws, of rows that are on disk."""
    rows = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", "float32", (200_000, 3))
    tracemalloc.start()
    found = kp.predict(model, rows, num_samples=20, batch_size=4096, seed=0, out=tmp_path / "d.npy")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.draws.nbytes == 32_000_000 and peak < 8_000_000, peak


def test_what_fails_leaves_the_older_file(model, tmp_path, monkeypatch):
    path = tmp_path / "draws.npy"
    path.write_bytes(b"an older file")

    def broken():
        yield X
        raise RuntimeError("no more rows")

    with pytest.raises(RuntimeError, match="no more rows"):
        kp.predict(model, broken(), num_samples=2, batch_size=8, out=path)
    free = namedtuple("free", "free")(100)
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "disk_usage", lambda folder: free)
        with pytest.raises(OSError, match="100 bytes are free, for 800"):
            kp.predict(model, X, num_samples=2, out=path)
    two = keras.Model(model.inputs, [model.outputs[0], keras.layers.Dense(1)(model.inputs[0])])
    for x in (X, batches()):
        with pytest.raises(ValueError, match="model with several"):
            kp.predict(two, x, num_samples=2, out=path)
    assert path.read_bytes() == b"an older file" and list(tmp_path.iterdir()) == [path]
    for wrong, error in ((3, TypeError), (tmp_path / "a.csv", ValueError)):
        with pytest.raises(error, match=r"path of a file whose name ends in \.npy"):
            kp.predict(model, X, out=wrong)
    with pytest.raises(ValueError, match="in a folder that is there"):
        kp.predict(model, X, out=tmp_path / "none" / "a.npy")
