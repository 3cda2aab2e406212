"""Tails of gamma variables are SciPy's, relative to the smaller one, with both derivatives."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy import special

from keras_priors import backend
from keras_priors.likelihoods.log_gamma_tails import log_gamma_tails
from tests.likelihoods._cases import numpy

DOUBLE = keras.backend.backend() != "jax"  # which has no float64 unless it is told
K = np.concatenate([10.0 ** np.linspace(-3, 6, 37), [7.999, 8.0, 8.001]])
ROOTS = np.array([-5.5, -3.0, -1.0, -0.1, 0.1, 1.0, 3.0, 5.5])


def points(dtype):
    """Concentrations, and r where the logarithm of a likelihood ratio is half of a square."""
    k = np.repeat(K, len(ROOTS))
    root = np.tile(ROOTS, len(K))
    low, high = np.where(root < 0, -2.0 - root**2 / k, 0.0), np.where(root < 0, 0.0, 40.0)
    for _ in range(100):
        middle = 0.5 * (low + high)
        up = (k * (np.expm1(middle) - middle) < 0.5 * root**2) ^ (root < 0)
        low, high = np.where(up, middle, low), np.where(up, high, middle)
    return k.astype(dtype), np.maximum(middle, -300.0).astype(dtype)


def by_scipy(r, k):
    r, k = r.astype("float64"), k.astype("float64")
    x = k * np.exp(r)
    with np.errstate(divide="ignore"):
        below, above = np.log(special.gammainc(k, x)), np.log(special.gammaincc(k, x))
        # Where a tail is so near to 1 that its logarithm has lost its digits.
        below = np.where(above < -1.0, np.log1p(-np.exp(above)), below)
        return below, np.where(below < -1.0, np.log1p(-np.exp(below)), above)


@pytest.mark.parametrize("dtype", ["float32", *(["float64"] if DOUBLE else [])])
def test_logarithms(dtype):
    k, r = points(dtype)
    found = log_gamma_tails(*(ops.convert_to_tensor(each, dtype=dtype) for each in (r, k)))
    for tail, expected in zip(map(numpy, found), by_scipy(r, k), strict=True):
        assert tail.dtype == dtype
        # SciPy's own tails have 1e-8 of themselves at large concentrations.
        room = 2e-4 if dtype == "float32" else 1e-7
        ordinary = np.isfinite(expected) & (expected > -40.0)
        assert ordinary.mean() > 0.9
        error = np.abs(tail - expected)[ordinary]
        assert np.all(error <= room * (1.0 + np.abs(expected[ordinary]))), error.max()
        assert np.all(tail <= 0.0)
        assert np.all(np.isfinite(tail))


def test_derivatives_are_those_of_differences():
    dtype = "float64" if DOUBLE else "float32"
    k, r = points(dtype)
    ordinary = (r > -20.0) & (k < 1e4) & (k > 1e-2)
    k, r = k[ordinary], r[ordinary]
    for tail in (0, 1):
        for by in (0, 1):
            given = [ops.convert_to_tensor(each, dtype=dtype) for each in (r, k)]

            def total(z, tail=tail, by=by, given=given):
                arguments = [z if j == by else each for j, each in enumerate(given)]
                return ops.sum(log_gamma_tails(*arguments)[tail])

            slope = numpy(backend.value_and_gradient(total)(given[by])[1])
            step = 1e-5 * (np.maximum(k, 1e-2) if by else 1.0)
            r64, k64 = r.astype("float64"), k.astype("float64")
            moved = [
                by_scipy(r64 + sign * step * (by == 0), k64 + sign * step * (by == 1))[tail]
                for sign in (1.0, -1.0)
            ]
            expected = (moved[0] - moved[1]) / (2.0 * step)
            room = (5e-4 if DOUBLE else 5e-3) * (1.0 + np.abs(expected))
            assert np.all(np.abs(slope - expected) <= room), np.max(np.abs(slope - expected) / room)


def test_far_out_they_and_their_slopes_are_finite_and_go_on():
    """Beyond six deviations by the normal score, to 1%; further than float32 has tails."""
    k = np.array([1e-3, 0.5, 3.0, 8.0, 50.0, 1e3], "float32")
    r = np.outer([-60.0, -3.0, 1.5, 2.5, 60.0], np.ones(6)).astype("float32")
    k = np.broadcast_to(k, r.shape).copy()
    below, above = map(numpy, log_gamma_tails(ops.convert_to_tensor(r), ops.convert_to_tensor(k)))
    expected = by_scipy(r, k)
    for tail, right in zip((below, above), expected, strict=True):
        assert np.all(np.isfinite(tail))
        known = np.isfinite(right) & (right > -600.0)
        np.testing.assert_allclose(tail[known], right[known], rtol=1e-2, atol=1e-5)
    for tail in (0, 1):
        for by in (0, 1):
            given = [ops.convert_to_tensor(each) for each in (r, k)]

            def total(z, tail=tail, by=by, given=given):
                arguments = [z if j == by else each for j, each in enumerate(given)]
                return ops.sum(log_gamma_tails(*arguments)[tail])

            assert np.all(np.isfinite(numpy(backend.value_and_gradient(total)(given[by])[1])))
