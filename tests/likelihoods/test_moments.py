"""Mean and variance against draws and against the native distributions."""

import numpy as np
import pytest

from keras_priors import backend, likelihoods
from tests.likelihoods._cases import CASES, f32, numpy

DRAWS = 4000
with_moments = pytest.mark.parametrize(
    "case", [case for case in CASES if case.moments and case.name != "student-t-vectors"], ids=repr
)


def one_hot(case, y):
    return np.eye(case.outputs.shape[-1])[y] if "categorical" in case.name else y


@with_moments
def test_mean_and_variance_are_those_of_the_samples(case):
    outputs = f32(np.broadcast_to(case.outputs, (DRAWS, *case.outputs.shape)))
    y = numpy(case.likelihood.sample(outputs, seed=1))
    assert y.dtype == ("int32" if case.likelihood.is_discrete else "float32")
    y = one_hot(case, y).astype("float64")
    mean = numpy(case.likelihood.mean(f32(case.outputs))).astype("float64")
    variance = numpy(case.likelihood.variance(f32(case.outputs))).astype("float64")
    assert mean.shape == variance.shape == y.shape[1:]
    error = np.sqrt(variance / DRAWS)
    assert np.max(np.abs(y.mean(0) - mean) / error) < 4.5
    squares = (y - mean) ** 2
    if case.name != "student-t":  # with 4 degrees of freedom squares have no variance
        spread = squares.std(0) / np.sqrt(DRAWS)
        assert np.max(np.abs(squares.mean(0) - variance) / np.maximum(spread, 1e-6)) < 4.5


@pytest.mark.parametrize("case", [c for c in CASES if c.moments], ids=repr)
def test_mean_and_variance_are_those_of_the_distribution(case):
    if "categorical" in case.name:
        pytest.skip("the libraries know no mean of a class index")
    distribution = case.likelihood.distribution(f32(case.outputs))
    for ours, native in (
        (case.likelihood.mean, backend.mean),
        (case.likelihood.variance, backend.variance),
    ):
        got, expected = numpy(ours(f32(case.outputs))), numpy(native(distribution))
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_the_seed_decides_the_sample(case):
    first, second, other = (
        numpy(case.likelihood.sample(f32(np.tile(case.outputs, (5, 1))), seed=seed))
        for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, second)
    assert np.any(first != other)


def test_probabilities():
    logits = f32([[0.0, 1.0, 2.0]])
    softmax = np.exp(logits) / np.exp(logits).sum()
    got = likelihoods.Categorical().probabilities(logits)
    np.testing.assert_allclose(numpy(got), softmax, rtol=1e-6)
    got = likelihoods.Categorical(from_logits=False).probabilities(softmax)
    np.testing.assert_allclose(numpy(got), softmax)
    got = likelihoods.Bernoulli().probabilities(logits)
    np.testing.assert_allclose(numpy(got), 1 / (1 + np.exp(-logits)), rtol=1e-6)


def test_a_student_t_says_which_moments_it_has():
    outputs = np.zeros((2, 2), "float32")
    for moment in ("mean", "variance"):
        with pytest.raises(ValueError, match="for df > 1 only"):
            getattr(likelihoods.StudentT([1.0, 3.0]), moment)(outputs)
    variance = numpy(likelihoods.StudentT([2.0, 4.0], 3.0).variance(outputs))
    np.testing.assert_allclose(variance, [[np.inf, 18.0]] * 2)
