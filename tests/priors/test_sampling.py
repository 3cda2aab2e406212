"""Draws against densities, and the native distributions."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy import stats

from keras_priors import backend
from keras_priors import priors as p
from tests.priors._cases import CASES, float32

BACKEND = keras.backend.backend()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_draws_follow_the_density(case):
    if case.name.startswith("variance_scaling"):
        pytest.skip("its scale depends on the shape")
    draws = ops.convert_to_numpy(case.make().sample((20000,), seed=3)).astype("float64")
    assert np.isfinite(draws).all()
    assert stats.kstest(draws, case.cdf).pvalue > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_seed_decides_the_draw(case):
    prior = case.make()
    first, same, other = (ops.convert_to_numpy(prior.sample((4, 3), seed=s)) for s in (5, 5, 6))
    np.testing.assert_array_equal(first, same)
    assert (first != other).all()
    generator = keras.random.SeedGenerator(1)
    one, two = (ops.convert_to_numpy(prior.sample((4, 3), seed=generator)) for _ in range(2))
    assert (one != two).all()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_native_distribution_has_the_shape_and_the_density(case):
    prior = case.make()
    shape = (1,)
    native = prior.distribution(shape)
    assert tuple(native.batch_shape) == shape
    assert tuple(native.event_shape) == ()
    if case.name == "student_t-1000000.0" and keras.backend.backend() == "torch":
        return  # torch's own has lost its normalizing constant there
    # The libraries are less exact in the tails: that is why the priors have closed forms.
    for w in float32([w for w in case.points if 1e-3 <= abs(w) < 60.0]):
        value = float(native.log_prob(ops.convert_to_tensor([w], dtype="float32"))[0])
        exact = float(prior.log_prob(np.array([w], "float32")))
        approximate = "horseshoe" in case.name or "1000" in case.name
        if np.isfinite(exact):
            np.testing.assert_allclose(value, exact, rtol=0.05 if approximate else 1e-4, atol=1e-3)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_native_distribution_of_a_matrix(case):
    native = case.make().distribution((2, 3))
    assert tuple(native.batch_shape) == (2, 3)


def test_initializer_draws_from_the_prior():
    prior = p.LaplacePrior(2.0, 0.1)
    initializer = prior.initializer(seed=1)
    values = ops.convert_to_numpy(initializer((5000,)))
    assert stats.kstest(values, stats.laplace(2.0, 0.1).cdf).pvalue > 1e-3
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(initializer))
    np.testing.assert_array_equal(ops.convert_to_numpy(again((5000,))), values)


@pytest.mark.parametrize(
    "prior",
    [
        p.RegularizedHorseshoePrior(np.array([0.1, 0.2, 1.0]), np.array([[1.0], [2.0]])),
        p.HorseshoePrior(np.array([0.1, 0.2, 1.0])),
    ],
    ids=lambda prior: type(prior).__name__,
)
def test_where_the_library_has_no_such_class_one_is_made(prior):
    native = prior.distribution((2, 3))
    assert backend.is_distribution(native)
    assert tuple(native.batch_shape) == (2, 3)
    assert tuple(native.event_shape) == ()
    w = np.array([[0.05, -1.0, 3.0], [1e-3, 0.3, -0.2]], "float32")
    values = ops.convert_to_numpy(native.log_prob(ops.convert_to_tensor(w)))
    total = float(prior.log_prob(w))
    exact = not (isinstance(prior, p.HorseshoePrior) and BACKEND != "torch")  # TFP's is not
    np.testing.assert_allclose(values.sum(), total, rtol=1e-5 if exact else 0.1)
    # Element by element: the parameters go where they belong.
    for i, j in np.ndindex(2, 3):
        single = type(prior)(**{k: np.broadcast_to(getattr(prior, k), (2, 3))[i, j].item()
                                for k in prior._parameters})  # fmt: skip
        expected = float(single.log_prob(w[i, j]))
        np.testing.assert_allclose(values[i, j], expected, rtol=1e-5 if exact else 0.1, atol=1e-6)
    seeds = [backend.as_seed(s) for s in (1, 1, 2)]
    first, same, other = (
        ops.convert_to_numpy(backend.sample(native, (4,), seed)) for seed in seeds
    )
    assert first.shape == (4, 2, 3)
    np.testing.assert_array_equal(first, same)
    assert (first != other).all()
    support = backend.support(native)
    assert np.isneginf(support.low).all()
    assert np.isposinf(support.high).all()
    if exact:  # a file cannot name it
        with pytest.raises(ValueError, match=r"Write a `keras_priors.Prior` of your own"):
            p.DistributionPrior(native)


def test_draws_of_a_made_distribution_follow_the_density():
    case = next(case for case in CASES if case.name == "regularized_horseshoe-0.1-2.0")
    native = case.make().distribution((2,))
    draws = ops.convert_to_numpy(backend.sample(native, (5000,), backend.as_seed(3)))
    assert stats.kstest(draws.ravel().astype("float64"), case.cdf).pvalue > 1e-3
    assert np.isfinite(ops.convert_to_numpy(native.log_prob(ops.convert_to_tensor(draws)))).all()
