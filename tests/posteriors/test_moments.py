"""What a posterior says of its mean and spread is what its draws have."""

import numpy as np
import pytest
from keras import ops

from keras_priors import backend
from keras_priors.posteriors.scale import DEFAULT_RELATIVE_SCALE
from tests.posteriors._calculus import as_numpy, over_seeds, standard_errors
from tests.posteriors._families import FAMILIES, SPREAD, build, make, moments, raw_values

DRAWS = 4000


@pytest.mark.parametrize("shape", [(3, 2), (4,)], ids=str)
@pytest.mark.parametrize("family", FAMILIES)
def test_mean_variance_and_stddev_are_those_of_the_family(family, shape):
    if family == "matrix_normal" and len(shape) == 1:
        pytest.skip("for weights with two axes")
    posterior, variables = make(family, shape)
    mean, covariance = moments(family, raw_values(variables))
    variance = np.diag(covariance).reshape(shape)
    np.testing.assert_allclose(as_numpy(posterior.mean()), mean.reshape(shape), rtol=1e-5)
    np.testing.assert_allclose(as_numpy(posterior.variance()), variance, rtol=1e-5)
    np.testing.assert_allclose(as_numpy(posterior.stddev()), np.sqrt(variance), rtol=1e-5)


@pytest.mark.parametrize("family", SPREAD)
def test_draws_have_the_mean_and_covariance(family):
    posterior, variables = make(family)
    mean, covariance = moments(family, raw_values(variables))
    draws = over_seeds(posterior.sample, DRAWS).reshape(DRAWS, -1)
    assert standard_errors(draws, mean).max() < 4
    centred = draws - mean
    products = centred[:, :, None] * centred[:, None, :]
    assert standard_errors(products, covariance).max() < 4


def test_a_point_draws_itself():
    posterior, _ = make("delta")
    draws = over_seeds(posterior.sample, 3)
    assert np.array_equal(draws, np.stack([as_numpy(posterior.mean())] * 3))


@pytest.mark.parametrize("family", FAMILIES)
def test_covariance_of_the_full_family_is_for_people(family):
    posterior, variables = make(family)
    if family != "full":
        assert "covariance" not in dir(posterior)
        return
    _, covariance = moments(family, raw_values(variables))
    np.testing.assert_allclose(as_numpy(posterior.covariance()), covariance, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("family", SPREAD)
def test_a_seed_names_a_draw(family):
    posterior, _ = make(family)
    first = as_numpy(posterior.sample(seed=1))
    assert first.shape == (3, 2)
    assert np.array_equal(first, as_numpy(posterior.sample(seed=1)))
    assert not np.array_equal(first, as_numpy(posterior.sample(seed=2)))
    assert not np.array_equal(as_numpy(posterior.sample()), as_numpy(posterior.sample()))


@pytest.mark.parametrize("family", FAMILIES)
def test_float64_variables_give_float64(family):
    posterior, variables = make(family, dtype="float64")
    if str(backend.standard_normal((1,), backend.as_seed(0), "float64").dtype)[-7:] != "float64":
        pytest.skip("float64 is off on this backend")
    for tensor in (posterior.mean(), posterior.sample(0), posterior.variance()):
        assert str(tensor.dtype).endswith("float64")
    mean, covariance = moments(family, raw_values(variables))
    np.testing.assert_allclose(as_numpy(posterior.mean()).reshape(-1), mean, rtol=1e-12)
    variance = as_numpy(posterior.variance()).reshape(-1)
    np.testing.assert_allclose(variance, np.diag(covariance), rtol=1e-12)


@pytest.mark.parametrize("family", ["mean_field", "low_rank_1", "full", "matrix_normal"])
@pytest.mark.parametrize("fan_in", [1, 16, 400])
def test_initial_scale(family, fan_in):
    shape = (fan_in, 2)
    given, _ = build(type(FAMILIES[family])(initial_scale=0.3), shape)
    default, _ = build(FAMILIES[family], shape)
    # The low-rank part adds a percent of the variance on average.
    rtol = 0.1 if family == "low_rank_1" else 1e-5
    np.testing.assert_allclose(as_numpy(given.stddev()), 0.3, rtol=rtol)
    default_scale = DEFAULT_RELATIVE_SCALE / np.sqrt(fan_in)
    np.testing.assert_allclose(as_numpy(default.stddev()), default_scale, rtol=rtol)


def test_log_normal_starts_at_the_size_of_the_initial_weight():
    start = np.array([[0.5, -0.25], [0.0, 2.0]], "float32")

    def initializer(shape, dtype=None):
        return ops.convert_to_tensor(start, dtype=dtype)

    posterior, variables = build(FAMILIES["log_normal"], (2, 2), initializer=initializer)
    expected = np.log([[0.5, 0.25], [1e-3, 2.0]])
    np.testing.assert_allclose(as_numpy(variables["loc"]), expected, rtol=1e-5)
    np.testing.assert_allclose(as_numpy(ops.softplus(variables["rho"])), 0.1, rtol=1e-5)
    assert (as_numpy(posterior.sample(0)) > 0).all()
