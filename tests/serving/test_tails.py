"""Tails of gamma and beta variables in a graph are SciPy's, for shapes of every size."""

import numpy as np
import pytest
from keras import ops
from scipy import stats
from scipy.special import betainc, expit, gammainc, gammaincc

from keras_priors.likelihoods.score_table import score_table
from keras_priors.serving.beta_tail import beta_tail
from keras_priors.serving.gamma_tail import gamma_tail
from keras_priors.serving.normal_tail import normal_tail

# Of a probability, in float32: exponents of several hundred are rounded.
ROUNDING = 6e-6
SHAPES = 10.0 ** np.arange(-4.0, 5.1, 0.5)
LEVELS = (1e-5, 1e-3, 0.05, 0.3, 0.5, 0.7, 0.95, 0.999, 1 - 1e-5)


def in_float32(*values):
    return [np.asarray(each, "float32") for each in np.broadcast_arrays(*values)]


def found(tail, at):
    """P(> at) and P(< at) of tensors."""
    at = ops.convert_to_tensor(at)
    return [ops.convert_to_numpy(tail(sign * ops.ones_like(at))) for sign in (1.0, -1.0)]


def test_of_the_normal_distribution():
    z = np.linspace(-12.0, 12.0, 1001).astype("float32")
    tail = ops.convert_to_numpy(normal_tail(ops.convert_to_tensor(z)))
    np.testing.assert_allclose(tail, stats.norm.sf(z.astype("float64")), rtol=1e-5)


def test_of_the_gamma_distribution():
    k, level = in_float32(SHAPES[:, None], LEVELS)
    with np.errstate(divide="ignore"):
        r = np.log(stats.gamma.ppf(level.astype("float64"), k.astype("float64")) / k)
    r = np.where(np.isfinite(r), r, -80.0).astype("float32")
    tail = gamma_tail(ops.convert_to_tensor(k), score_table())
    above, below = found(lambda sign: tail(ops.convert_to_tensor(r), sign), r)
    k, x = k.astype("float64"), k.astype("float64") * np.exp(r.astype("float64"))
    np.testing.assert_allclose(above, gammaincc(k, x), rtol=0, atol=ROUNDING)
    np.testing.assert_allclose(below, gammainc(k, x), rtol=0, atol=ROUNDING)
    # The digits of a tail where nothing is added to it.
    large = k >= 6.0
    np.testing.assert_allclose(above[large], gammaincc(k, x)[large], rtol=1e-4)
    np.testing.assert_allclose(below[large], gammainc(k, x)[large], rtol=1e-4)


@pytest.mark.parametrize("swap", [False, True])
def test_of_the_beta_distribution(swap):
    a, b, level = in_float32(SHAPES[:, None, None], SHAPES[:, None], LEVELS)
    a, b = (b, a) if swap else (a, b)
    y = stats.beta.ppf(level.astype("float64"), a, b)
    with np.errstate(divide="ignore"):
        u = np.clip(np.log(y) - np.log1p(-y), -80.0, 80.0).astype("float32")
    tail = beta_tail(ops.convert_to_tensor(a), ops.convert_to_tensor(b), score_table())
    above, below = found(lambda sign: tail(ops.convert_to_tensor(u), sign), u)
    a, b, u = (each.astype("float64") for each in (a, b, u))
    # Of the side where expit has its digits.
    expected = np.where(u < 0.0, betainc(a, b, expit(u)), 1.0 - betainc(b, a, expit(-u)))
    np.testing.assert_allclose(below, expected, rtol=0, atol=ROUNDING)
    np.testing.assert_allclose(above, 1.0 - expected, rtol=0, atol=ROUNDING)


@pytest.mark.parametrize("tail", ["gamma", "beta"])
def test_far_out_they_are_0_and_1(tail):
    small, large = ops.convert_to_tensor([1e-3, 0.5, 20.0]), ops.convert_to_tensor([0.5, 3.0, 2e4])
    tail = (
        gamma_tail(small, score_table())
        if tail == "gamma"
        else beta_tail(small, large, score_table())
    )
    for far in (1e5, 3e6):
        at = ops.convert_to_tensor([far] * 3)
        for sign in (1.0, -1.0):
            signs = sign * ops.ones_like(at)
            ends = [ops.convert_to_numpy(tail(end * sign * at, signs)) for end in (1.0, -1.0)]
            np.testing.assert_allclose(ends, np.outer([0.0, 1.0], np.ones(3)), rtol=0, atol=1e-30)
