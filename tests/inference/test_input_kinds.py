"""Every kind of input crossed with every entry point: it works as the array, or says what to do."""

import datetime

import keras
import ml_dtypes
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import xarray

import keras_priors as kp
from keras_priors.functional.as_array import as_array

X = np.array([[0.5, 1.0], [2.0, 0.0], [1.0, 1.0], [0.0, 3.0]], "float32")
Y = np.array([[0.5], [1.5], [1.0], [2.0]], "float32")
NOISE = kp.likelihoods.Normal(1.0)


def polars_frame(a):
    polars = pytest.importorskip("polars")
    return polars.DataFrame({f"c{k}": a[:, k] for k in range(a.shape[1])})


def mixed_columns(a):
    # One column of each dtype, in which these numbers are exact.
    columns = {f"c{k}": a[:, k].astype(["float32", "float64"][k]) for k in range(a.shape[1])}
    return pd.DataFrame(columns)


WORK = {
    "float64": lambda a: a.astype("float64"),
    "bfloat16": lambda a: a.astype(ml_dtypes.bfloat16),
    "a tensor": keras.ops.convert_to_tensor,
    "objects that are numbers": lambda a: a.astype(object),
    "a mask that masks nothing": lambda a: np.ma.masked_array(a, mask=np.zeros(a.shape, bool)),
    "pandas": lambda a: pd.DataFrame(a, columns=[f"c{k}" for k in range(a.shape[1])]),
    "pandas, mixed dtypes": mixed_columns,
    "pandas, nullable dtype": lambda a: pd.DataFrame(a).astype("Float64"),
    "polars": polars_frame,
    "xarray": xarray.DataArray,
    "memory order": np.asfortranarray,
}


def sparse_tensor(a):
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.sparse.from_dense(a)
    if keras.backend.backend() == "torch":
        import torch

        return torch.as_tensor(a).to_sparse()
    from jax.experimental import sparse

    return sparse.BCOO.fromdense(a)


def ragged(a):
    tf = pytest.importorskip("tensorflow")
    return tf.RaggedTensor.from_tensor(a)


def with_objects(value):
    def frame(a):
        made = pd.DataFrame(a, columns=[f"c{k}" for k in range(a.shape[1])]).astype(object)
        made.iloc[1, 0] = value
        return made

    return frame


REFUSED = {
    "masked": (
        lambda a: np.ma.masked_greater(a, 0.75),
        r"masked array with \d masked elements of \d, .* Leave these rows out",
    ),
    "complex": (lambda a: a + 1j, "complex numbers, .* imaginary"),
    "scipy.sparse matrix": (scipy.sparse.csr_matrix, r"sparse csr_matrix.*\.toarray\(\)"),
    "scipy.sparse array": (scipy.sparse.coo_array, r"sparse coo_array.*\.toarray\(\)"),
    "sparse tensor": (sparse_tensor, "a sparse .* Make it dense"),
    "ragged tensor": (ragged, r"RaggedTensor, .*\.to_tensor\(\)"),
    "strings": (lambda a: a.astype(str), r"numbers.*strings, first '0\.5'"),
    "objects that are strings": (
        lambda a: a.astype(str).astype(object),
        r"numbers.*strings, first '0\.5'",
    ),
    "a missing value": (with_objects(None), "None of type NoneType in column 'c0', row 1"),
    "pandas.NA": (with_objects(pd.NA), "<NA> of type NAType in column 'c0', row 1, one of 1"),
    "a string among numbers": (with_objects("red"), "'red' of type str in column 'c0', row 1"),
    "an array of objects": (
        lambda a: np.where(a > 1.25, None, a),
        r"None of type NoneType at \(\d, \d\)",
    ),
    "dates": (
        lambda a: a.astype("int64").astype("datetime64[D]"),
        r"dates or durations of dtype datetime64\[D\]",
    ),
    "durations": (lambda a: a.astype("int64").astype("timedelta64[D]"), "timedelta64"),
    "datetime objects": (with_objects(datetime.date(2020, 1, 1)), "of type date in column 'c0'"),
    "fields": (lambda a: a[:, 0].astype([("a", "f4")])[:, None], "array of dtype .*'a'"),
    "one number": (lambda a: np.float32(1.0), "the single value"),
}


@pytest.fixture(scope="module")
def model():
    net = keras.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dense(1, kernel_regularizer=kp.NormalPrior(0, 1), use_bias=False),
        ],
        name="net",
    )
    net.layers[0].set_weights([np.array([[1.0], [0.5]], "float32")])
    return net


@pytest.fixture(scope="module")
def posterior(model):
    return kp.inference.Laplace().fit(model, X, Y, NOISE, verbose=0)


def densities(y):
    return kp.Predictive(X[None, :, :1], NOISE).log_prob(y)


OF_X = {
    "predict": lambda model, posterior, x: kp.predict(model, x, likelihood=NOISE, verbose=0).draws,
    "Posterior.predict": lambda model, posterior, x: posterior.predict(x, 3, seed=0).draws,
    "log_likelihood, x": lambda model, posterior, x: posterior.log_likelihood(x, Y, 3, seed=0),
    "fit, x": lambda model, posterior, x: [
        kp.inference.LogPosterior(model, x, Y, NOISE)(posterior.mean())
    ],
    "compare, x": lambda model, posterior, x: [
        kp.compare({"it": posterior}, x, Y, num_samples=5, seed=0)["it"]["nll"]
    ],
}
OF_Y = {
    "fit, y": lambda model, posterior, y: [
        kp.inference.LogPosterior(model, X, y, NOISE)(posterior.mean())
    ],
    "fit, data set": lambda model, posterior, y: [
        kp.inference.LogPosterior(model, iter([(X, y)]), likelihood=NOISE)(posterior.mean())
    ],
    "compare, y": lambda model, posterior, y: [
        kp.compare({"it": posterior}, X, y, num_samples=5, seed=0)["it"]["nll"]
    ],
    "log_likelihood, y": lambda model, posterior, y: posterior.log_likelihood(X, y, 3, seed=0),
    "Predictive.log_prob": lambda model, posterior, y: densities(y),
}
ENTRIES = [(name, entry, X) for name, entry in OF_X.items()]
ENTRIES += [(name, entry, Y) for name, entry in OF_Y.items()]
IDS = [name for name, _, _ in ENTRIES]


@pytest.mark.parametrize(("name", "entry", "array"), ENTRIES, ids=IDS)
@pytest.mark.parametrize("kind", WORK)
def test_what_holds_numbers_is_as_the_array(kind, name, entry, array, model, posterior):
    expected = entry(model, posterior, array)
    found = entry(model, posterior, WORK[kind](array))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize(("name", "entry", "array"), ENTRIES, ids=IDS)
@pytest.mark.parametrize("kind", REFUSED)
def test_what_would_lose_something_says_so(kind, name, entry, array, model, posterior):
    make, message = REFUSED[kind]
    with pytest.raises(ValueError, match=f"(?s){message}"):
        entry(model, posterior, make(array))


def test_weights_are_as_the_array_too(model):
    weights = np.ma.masked_array(np.ones(4), mask=[True, False, False, False])
    with pytest.raises(ValueError, match=r"`sample_weight` must hold numbers.*masked array with 1"):
        kp.inference.LogPosterior(model, X, Y, NOISE, sample_weight=weights)


def test_floats_are_those_of_keras():
    for dtype in ("float16", "float64", ml_dtypes.bfloat16, object):
        assert as_array(X.astype(dtype)).dtype == keras.config.floatx()
    for dtype in ("int8", "uint64", bool):
        assert as_array(X.astype(dtype)).dtype == dtype


def test_a_model_of_strings_takes_strings():
    if keras.backend.backend() != "tensorflow":
        pytest.skip("strings are tensors on TensorFlow alone")
    lookup = keras.layers.StringLookup(vocabulary=["a", "b"], num_oov_indices=1)
    model = keras.Sequential(
        [
            keras.Input((1,), dtype="string"),
            lookup,
            keras.layers.Embedding(3, 1),
            keras.layers.Flatten(),
        ]
    )
    words = np.array([["a"], ["b"], ["a"]])
    draws = [
        kp.predict(model, x, likelihood=NOISE, verbose=0).draws
        for x in (words, words.astype(object), pd.DataFrame(words))
    ]
    assert draws[0][0, 0] == draws[0][0, 2] != draws[0][0, 1]
    np.testing.assert_array_equal(draws[0], draws[1])
    np.testing.assert_array_equal(draws[0], draws[2])
