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


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("named", [False, True])
def test_each_output_has_a_file(model, tmp_path, stream, named):
    """Of other widths, in folders of their own, in the structure of the outputs."""
    keras.utils.set_random_seed(1)
    x = model.inputs[0]
    outputs = [model.outputs[0], keras.layers.Reshape((1, 3))(kp.VariationalDense(3)(x))]
    (tmp_path / "there").mkdir()
    paths = [tmp_path / "z.npy", tmp_path / "there" / "a.npy"]
    if named:
        outputs, paths = ({"z": two[0], "a": two[1]} for two in (outputs, paths))
    both = keras.Model(model.inputs, outputs)
    given = {"num_samples": 5, "batch_size": 8, "seed": 0, "likelihood": None}
    expected = kp.predict(both, X, **given)
    found = kp.predict(both, batches() if stream else X, **given, out=paths)
    if not named:
        tuples = kp.predict(both, X, **given, out=tuple(map(str, paths)))
        np.testing.assert_array_equal(tuples[1].draws, found[1].draws)
    for k in ("z", "a") if named else (0, 1):
        assert not found[k].draws.flags.owndata
        np.testing.assert_allclose(found[k].draws, expected[k].draws, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(np.load(paths[k]), found[k].draws)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["there", "z.npy"]
    assert len(list((tmp_path / "there").iterdir())) == 1


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
    # The linearized one draws in each chunk as it draws in all rows at once.
    expected = posterior.predict(X, 4, seed=1).draws
    for x in (X, batches()):
        found = posterior.predict(x, 4, 8, seed=1, out=tmp_path / "b.npy").draws
        np.testing.assert_allclose(np.load(tmp_path / "b.npy"), expected, rtol=1e-5)
        assert not found.flags.owndata
    y = (X[:, :1] > 0).astype("float32")
    posterior = laplace.fit(line, X, y, kp.likelihoods.Bernoulli(), seed=0, verbose=0)
    with pytest.raises(ValueError, match=r"Received: out='a\.npy' and method='probit'"):
        posterior.predict(X, out="a.npy", method="probit")


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
    other = tmp_path / "other.npy"
    for wrong in (path, [path], {"a": path, "b": other}, [path, [other]]):
        for x in (X, batches()):
            with pytest.raises(ValueError, match=r"path at each: \['.npy', '.npy'\]"):
                kp.predict(two, x, num_samples=2, out=wrong)
    for wrong in ({"a": path}, [path, other]):
        with pytest.raises(ValueError, match=r"path at each: '\.npy'"):
            kp.predict(model, X, num_samples=2, out=wrong)
    with pytest.raises(ValueError, match="a file of its own"):
        kp.predict(two, X, out=[path, tmp_path / "." / "draws.npy"])
    assert path.read_bytes() == b"an older file" and list(tmp_path.iterdir()) == [path]
    for wrong, error in ((3, TypeError), (tmp_path / "a.csv", ValueError)):
        with pytest.raises(error, match=r"path of a file whose name ends in \.npy"):
            kp.predict(model, X, out=wrong)
    with pytest.raises(ValueError, match="in a folder that is there"):
        kp.predict(model, X, out=tmp_path / "none" / "a.npy")
